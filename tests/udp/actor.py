"""Actors of the UDP suite: the processes of a scenario count what they send and receive, and print it, a line a peer."""

import ctypes
import errno
import json
import os
import socket
import subprocess
import sys
import time

UDP_SEGMENT, MSG_TRUNC, UNKNOWN = 103, 0x20, ("", 0)
counts = {}
role_of = {}
own_address = ["127.0.0.1"]


def text(address, port):
    return f"{address.removeprefix('::ffff:')}:{port}"


def note(sock, remote, role, tx=None, rx=None, datagrams=1):
    """Counts datagrams of one call under this process, socket and peer."""
    address, port = sock.getsockname()[:2]
    peer_address = remote[0] or ("::" if address == "::" else "0.0.0.0")
    if address in ("0.0.0.0", "::") and remote[0]:  # bound to every address
        address = "::1" if peer_address == "::1" else own_address[0]
    key = (text(address, port), text(peer_address, remote[1]))
    count = counts.setdefault(key, [0, 0, 0, 0])
    role_of[key] = role
    if tx is not None:
        count[0] += tx
        count[1] += datagrams
    if rx is not None:
        count[2] += rx
        count[3] += datagrams


def tell():
    for (local, remote), (tx_bytes, tx_datagrams, rx_bytes, rx_datagrams) in counts.items():
        amounts = dict(tx_bytes=tx_bytes, tx_datagrams=tx_datagrams, rx_bytes=rx_bytes, rx_datagrams=rx_datagrams)
        print(json.dumps(dict(pid=os.getpid(), role=role_of[local, remote], local=local, remote=remote, **amounts)))
    sys.stdout.flush()


def in_child(act):
    """Runs an actor in a process of its own, which counts for itself."""
    pid = os.fork()
    if pid:
        return pid
    counts.clear()
    act()
    tell()
    os._exit(0)


def udp(family=socket.AF_INET, bind=None, connect=None):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(10)
    sock.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
    if bind:
        sock.bind(bind)
    if connect:
        sock.connect(connect)
    return sock


def free_port(family=socket.AF_INET6):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        return sock.getsockname()[1]


def answer(server, requests):
    """A server that answers whoever asks from its one socket."""
    for _ in range(requests):
        data, peer = server.recvfrom(65536)
        note(server, peer[:2], "server", rx=len(data))
        reply = bytes(len(data) * 3 % 1400)
        server.sendto(reply, peer)
        note(server, peer[:2], "server", tx=len(reply))


def ask(client, to, size, connected):
    data = bytes(size)
    client.send(data) if connected else client.sendto(data, to)
    note(client, to[:2], "client", tx=size)
    reply, _ = client.recvfrom(65536)
    note(client, to[:2], "client", rx=len(reply))


def dns():
    """Thousands of clients, each with a socket of its own, half of them connected."""
    server = udp(bind=("127.0.0.1", free_port()))
    to, clients = server.getsockname(), 4000

    def clients_ask():
        for i in range(clients):
            with udp(connect=to if i % 2 else None) as client:
                ask(client, to, i % 500, i % 2 == 1)

    child = in_child(clients_ask)
    answer(server, clients)
    os.waitpid(child, 0)


def families():
    """IPv6, and IPv4 over an IPv6 socket; the server is bound to every address."""
    server = udp(socket.AF_INET6, bind=("::", free_port()))
    port = server.getsockname()[1]

    def clients_ask():
        for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET6, "::ffff:127.0.0.1"), (socket.AF_INET, "127.0.0.1")):
            for connected in (False, True):
                with udp(family, connect=(host, port) if connected else None) as client:
                    for size in (0, 1, 1200, 60000):
                        ask(client, (host, port), size, connected)

    child = in_child(clients_ask)
    answer(server, 24)
    os.waitpid(child, 0)


def quic(seconds=0.0, datagrams=20000):
    """Many datagrams both ways over one connected socket, in windows of 50."""
    server = udp(bind=("127.0.0.1", free_port()))
    to = server.getsockname()

    def client_speaks():
        client = udp(connect=to)
        for _ in range(datagrams // 50):
            for _ in range(50):
                client.send(bytes(1200))
                note(client, to, "client", tx=1200)
            for _ in range(50):
                note(client, to, "client", rx=len(client.recv(2000)))
            time.sleep(seconds * 50 / datagrams)

    child = in_child(client_speaks)
    answer(server, datagrams)
    os.waitpid(child, 0)


def long():
    """A conversation of several interim intervals."""
    quic(seconds=3.6, datagrams=1800)


def statsd():
    """Fire and forget, to a sink that never answers and to a port where nobody listens."""
    sink = udp(bind=("127.0.0.1", free_port()))
    to, closed, packets = sink.getsockname(), ("127.0.0.1", free_port()), 3000

    def fire():
        loose, fixed = udp(), udp(connect=closed)
        for i in range(packets):
            loose.sendto(bytes(i % 200), to)
            note(loose, to, "client", tx=i % 200)
            try:
                fixed.send(bytes(i % 100))
                note(fixed, closed, "client", tx=i % 100)
            except ConnectionRefusedError:
                pass  # told of an earlier one; nothing was sent

    child = in_child(fire)
    for _ in range(packets):
        data, peer = sink.recvfrom(2000)
        note(sink, peer, "server", rx=len(data))
    os.waitpid(child, 0)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", Msghdr), ("len", ctypes.c_uint)]


def batch(sizes, name=None, namelen=0):
    """Headers for a batch; with buffers of these sizes, and room for a name in each."""
    headers, keep = (Mmsghdr * len(sizes))(), []
    for header, size in zip(headers, sizes):
        data, iov, own = ctypes.create_string_buffer(max(size, 1)), Iovec(), ctypes.create_string_buffer(name or b"", 16)
        iov.base, iov.len = ctypes.addressof(data), size
        header.hdr.iov, header.hdr.iovlen = ctypes.pointer(iov), 1
        header.hdr.name, header.hdr.namelen = ctypes.addressof(own), 16
        keep += [data, iov, own]
    return headers, keep


def mmsg():
    """sendmmsg(2) and recvmmsg(2): many datagrams a call, to and from several peers."""
    libc = ctypes.CDLL(None, use_errno=True)
    sinks = [udp(bind=("127.0.0.1", free_port())) for _ in range(3)]
    sender = udp(bind=("127.0.0.1", free_port()))
    sizes = [i * 7 % 900 for i in range(60)]
    for sink in sinks:
        to = sink.getsockname()
        name = socket.AF_INET.to_bytes(2, sys.byteorder) + to[1].to_bytes(2, "big") + socket.inet_aton(to[0])
        headers, _keep = batch(sizes, name)
        sent = libc.sendmmsg(sender.fileno(), headers, len(sizes), 0)
        for header in headers[:sent]:
            note(sender, to, "client", tx=header.len)
        headers, _keep = batch([2000] * len(sizes))
        received = libc.recvmmsg(sink.fileno(), headers, sent, 0, None)
        for header in headers[:received]:
            note(sink, sender.getsockname(), "server", rx=header.len)
        assert sent == received == len(sizes), (sent, received, errno.errorcode.get(ctypes.get_errno()))


def odd():
    """What is easily counted twice or not at all."""
    server = udp(bind=("127.0.0.1", free_port()))
    client, other = udp(bind=("127.0.0.1", free_port())), udp(bind=("127.0.0.1", free_port()))
    to = server.getsockname()
    for size in (0, 10, 900):  # a look takes nothing, and what is cut off was not received
        client.sendto(bytes(size), to)
        note(client, to, "client", tx=size)
        server.recvfrom(2000, socket.MSG_PEEK)
        data, peer = server.recvfrom(400)
        note(server, peer, "server", rx=len(data))
    client.sendto(bytes(900), to)  # ... unless the program asks how long it was
    note(client, to, "client", tx=900)
    note(server, client.getsockname(), "server", rx=server.recvfrom_into(bytearray(10), 0, MSG_TRUNC)[0])
    client.connect(to)  # a connected socket may still speak to somebody else
    client.sendto(bytes(55), other.getsockname())
    note(client, other.getsockname(), "client", tx=55)
    note(other, client.getsockname(), "server", rx=len(other.recvfrom(100)[0]))
    client.send(bytes(66))
    note(client, to, "client", tx=66)
    note(server, UNKNOWN, "server", rx=len(server.recv(100)))  # without asking who: the peer is not seen
    client.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 100)  # the kernel cuts what it is given
    client.send(bytes(1050))
    note(client, to, "client", tx=1050, datagrams=11)
    for _ in range(11):
        data, peer = server.recvfrom(2000)
        note(server, peer, "server", rx=len(data))
    server.setblocking(False)
    for bad in (lambda: client.send(bytes(70000)), lambda: server.recvfrom(10)):
        try:
            bad()
        except OSError:
            pass


def forked():
    """One socket, several processes: each is named for what it did itself."""
    server = udp(bind=("127.0.0.1", free_port()))
    client = udp()
    for _ in range(3):
        child = in_child(lambda: answer(server, 5))
        for _ in range(5):
            ask(client, server.getsockname(), 321, False)
        os.waitpid(child, 0)


def older():
    """Sockets that were open, and had spoken, before the agent began."""
    server, client, fixed = udp(bind=("127.0.0.1", free_port())), udp(bind=("127.0.0.1", free_port())), udp()
    client.connect(server.getsockname())
    fixed.sendto(b"before", server.getsockname())
    server.recvfrom(100)
    print("ready", flush=True)
    sys.stdin.readline()
    server.sendto(b"first", client.getsockname())  # who speaks first now says nothing of who is the server
    note(server, client.getsockname(), "server", tx=5)
    note(client, server.getsockname(), "client", rx=len(client.recv(100)))
    ask_sizes = (1, 20, 300)
    for size in ask_sizes:
        fixed.sendto(bytes(size), server.getsockname())
        note(fixed, server.getsockname(), "client", tx=size)
        data, peer = server.recvfrom(1000)
        note(server, peer, "server", rx=len(data))


def join(name, address):
    """Enters a network namespace of its own; the returned function gives it its one address."""
    assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
    own_address[0] = address
    return lambda: subprocess.run(f"ip addr add {address}/24 dev {name} && ip link set {name} up", shell=True, check=True)


def namespaces():
    """Two network namespaces with an address each, and sockets that are bound to every address, as in containers."""
    (there_read, there), (go_read, go) = os.pipe(), os.pipe()

    def far():
        set_up = join("v1", "10.77.0.2")
        os.write(there, b"1")
        os.read(go_read, 1)
        set_up()
        client = udp()
        for size in range(20):
            ask(client, ("10.77.0.1", 5300), size, False)
        time.sleep(0.5)  # there when the agent asks for its addresses

    child = in_child(far)
    os.read(there_read, 1)
    set_up = join("v0", "10.77.0.1")
    subprocess.run(f"ip link add v0 type veth peer name v1 netns {child}", shell=True, check=True)
    set_up()
    server = udp(bind=("0.0.0.0", 5300))
    os.write(go, b"1")
    answer(server, 20)
    os.waitpid(child, 0)


def crowd():
    """More peers at once than the kernel's map of flows has room for; every datagram is counted under one of them, or under none."""
    sender, total = udp(), 0
    for i in range(120000):
        to = (f"127.{1 + i % 200}.{1 + i // 40000}.{1 + i // 200 % 200}", 20000 + i % 7)
        sender.sendto(b"0123456789", to)
        total += 10
    note(sender, ("127.0.0.1", 1), "client", tx=total, datagrams=120000)


def busy():
    """Several processes that ask one server, which two processes serve, while the agent takes what was counted again and again."""
    server = udp(bind=("127.0.0.1", free_port()))
    to, clients, questions = server.getsockname(), 4, 20000

    def speak():
        client = udp(connect=to)
        for i in range(questions):
            ask(client, to, i % 700, True)

    children = [in_child(speak) for _ in range(clients)]
    servers = [in_child(lambda: answer(server, clients * questions // 2)) for _ in range(2)]
    for child in children + servers:
        assert os.waitpid(child, 0)[1] == 0


globals()[sys.argv[1]]()
tell()

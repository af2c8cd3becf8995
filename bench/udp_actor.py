"""Traffic of the UDP bench: `udp RATE SECONDS CONNECTED` asks and answers, `dns COUNT` with a new socket for each question;
`tcp COUNT` does requests over one connection."""

import os
import socket
import sys
import time


def udp(rate, seconds, connected):
    """RATE datagrams a second, half of them questions, half answers."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    to, questions = server.getsockname(), rate * seconds // 2
    if not os.fork():
        for _ in range(questions):
            data, peer = server.recvfrom(2000)
            server.sendto(data, peer)
        os._exit(0)
    client, start = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), time.monotonic()
    if connected:
        client.connect(to)
    for i in range(questions):
        client.send(b"x" * 100) if connected else client.sendto(b"x" * 100, to)
        client.recv(2000) if connected else client.recvfrom(2000)
        ahead = start + i * 2 / rate - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
    os.wait()


def dns(count):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    if not os.fork():
        for _ in range(count):
            data, peer = server.recvfrom(2000)
            server.sendto(data, peer)
        os._exit(0)
    for _ in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x" * 50, server.getsockname())
            client.recvfrom(2000)
    os.wait()


def tcp(count):
    listener = socket.create_server(("127.0.0.1", 0))
    if not os.fork():
        connection = listener.accept()[0]
        for _ in range(count):
            connection.send(connection.recv(200))
        os._exit(0)
    client = socket.create_connection(listener.getsockname())
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for _ in range(count):
        client.send(b"x" * 100)
        client.recv(200)
    os.wait()


{"udp": udp, "dns": dns, "tcp": tcp}[sys.argv[1]](*map(int, sys.argv[2:]))

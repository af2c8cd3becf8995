/** Writes captures for tests: pcap files (draft-ietf-opsawg-pcap) of UDP datagrams over IPv4 and Ethernet. */

import { concat } from "./datagram.ts";

const SFLOW_PORT = 6_343;
const LINK_ETHERNET = 1;

/** A capture of little-endian microseconds, with the payloads as datagrams to port 6343. */
export function pcapFile(payloads: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return pcapFileOfFrames(payloads.map(frame));
}

/** A capture of Ethernet frames. */
export function pcapFileOfFrames(frames: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(24);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0xa1b2_c3d4, true);
  view.setUint16(4, 2, true);
  view.setUint16(6, 4, true);
  view.setUint32(16, 0xffff, true);
  view.setUint32(20, LINK_ETHERNET, true);
  return concat(header, ...frames.map(packet));
}

function packet(frame: Uint8Array): Uint8Array {
  const header = new Uint8Array(16);
  new DataView(header.buffer).setUint32(8, frame.length, true);
  new DataView(header.buffer).setUint32(12, frame.length, true);
  return concat(header, frame);
}

function frame(payload: Uint8Array): Uint8Array {
  const ethernet = new Uint8Array(14), ip = new Uint8Array(20), udp = new Uint8Array(8);
  ethernet.set([8, 0], 12);
  ip.set([0x45]);
  new DataView(ip.buffer).setUint16(2, 28 + payload.length);
  ip.set([64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1], 8);
  const view = new DataView(udp.buffer);
  view.setUint16(0, 40_000);
  view.setUint16(2, SFLOW_PORT);
  view.setUint16(4, 8 + payload.length);
  return concat(ethernet, ip, udp, payload);
}

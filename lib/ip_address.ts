/** Addresses of 16 bytes in network order, IPv4 mapped (RFC 4291, section 2.5.5.2), and their text (RFC 5952). */

import ipaddr from "ipaddr.js";

/**
 * Parses an IPv4 or IPv6 address.
 *
 * @throws {SyntaxError} If the text is neither.
 */
export function parseAddress(text: string): Uint8Array {
  if (!ipaddr.isValid(text)) throw new SyntaxError(`Cannot parse address: "${text}" is neither IPv4 nor IPv6`);
  const address = ipaddr.parse(text);
  const v6 = address instanceof ipaddr.IPv4 ? address.toIPv4MappedAddress() : address;
  return Uint8Array.from(v6.toByteArray());
}

/** Whether the text is an IPv4 address of four decimal numbers, or an IPv6 address. */
export function isIpAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}

/** Of a mapped address, before those of IPv4. */
const MAPPED_BITS = 96;

/** Addresses that begin with the same bits. */
export interface AddressRange {
  /** 16 bytes, IPv4 mapped. */
  readonly address: Uint8Array;
  /** Of 128. */
  readonly prefixBits: number;
}

/**
 * Parses a range such as `10.0.0.0/8` or `fc00::/7`, or an address, which is a range of one.
 *
 * @throws {SyntaxError} If the text is neither.
 */
export function parseAddressRange(text: string): AddressRange {
  if (!text.includes("/")) return { address: parseAddress(text), prefixBits: 128 };
  if (!ipaddr.isValidCIDR(text)) throw new SyntaxError(`Cannot parse address range: "${text}", needed "ADDRESS/BITS"`);
  const [address, bits] = ipaddr.parseCIDR(text);
  return { address: parseAddress(address.toString()), prefixBits: address instanceof ipaddr.IPv4 ? MAPPED_BITS + bits : bits };
}

/** The range as `parseAddressRange()` reads it. */
export function formatAddressRange({ address, prefixBits }: AddressRange): string {
  return `${formatAddress(address)}/${isMappedIpv4(address) && prefixBits >= MAPPED_BITS ? prefixBits - MAPPED_BITS : prefixBits}`;
}

/** Canonical text of 16 bytes; a mapped address is written as IPv4. */
export function formatAddress(bytes: Uint8Array): string {
  if (isMappedIpv4(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  return new ipaddr.IPv6(Array.from(bytes)).toRFC5952String();
}

/** Whether 16 bytes hold an IPv4 address. */
export function isMappedIpv4(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** A host and port, as in `127.0.0.1:6343` or `[::1]:6343`. */
export interface HostPort {
  readonly address: Uint8Array;
  readonly port: number;
}

/**
 * Parses `ADDRESS:PORT`, IPv6 in brackets.
 *
 * @throws {SyntaxError} If it is not of that form, or the port is not 0 to 65535.
 */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    throw new SyntaxError(`Cannot parse address and port: "${text}", needed "ADDRESS:PORT" or "[IPV6]:PORT" with a port of 0 to 65535`);
  }
  return { address: parseAddress((match[1] ?? match[2])!), port };
}

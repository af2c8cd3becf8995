/** Numbers of the sFlow version 5 datagram that both the encoder and the decoder need (sflow_version_5.txt, section 5). */

export const SFLOW_VERSION = 5;
export const ADDRESS_TYPE_IPV4 = 1;
export const ADDRESS_TYPE_IPV6 = 2;

/** Sample and record tags hold the enterprise in the upper 20 bits and the format in the lower 12. */
export function dataFormat(enterprise: number, format: number): number {
  return (enterprise * 4096 + format) >>> 0;
}

export const FLOW_SAMPLE = dataFormat(0, 1);
export const COUNTERS_SAMPLE = dataFormat(0, 2);
export const FLOW_SAMPLE_EXPANDED = dataFormat(0, 3);
export const COUNTERS_SAMPLE_EXPANDED = dataFormat(0, 4);

export const SAMPLED_HEADER = dataFormat(0, 1);
export const SAMPLED_IPV4 = dataFormat(0, 3);
export const SAMPLED_IPV6 = dataFormat(0, 4);
export const EXTENDED_SOCKET_IPV4 = dataFormat(0, 2100);
export const EXTENDED_SOCKET_IPV6 = dataFormat(0, 2101);
export const EXTENDED_TCP_INFO = dataFormat(0, 2209);

/**
 * Data source class 3 is a logical entity; index 1 carries Skyfall's own flows, index 2 their restatement for other readers,
 * index 3 what listens on the host, index 4 what authenticates a datagram.
 */
export const DATA_SOURCE_SKYFALL = (3 << 24) | 1;
export const DATA_SOURCE_MIRROR = (3 << 24) | 2;
export const DATA_SOURCE_LISTENERS = (3 << 24) | 3;
export const DATA_SOURCE_AUTHENTICATION = (3 << 24) | 4;

/** Default enterprise number, reserved for documentation by RFC 5612. */
export const DEFAULT_ENTERPRISE = 32_473;

/** Largest datagram that our agent sends, so that none is fragmented on an Ethernet of 1,500 bytes. */
export const DATAGRAM_BYTES_MAX = 1_400;

/** Addresses and their text. */

import assert from "node:assert/strict";
import { formatAddress, isMappedIpv4, parseAddress, parseHostPort } from "./ip_address.ts";

for (
  const [text, canonical] of [["10.0.0.1", "10.0.0.1"], ["::ffff:10.0.0.1", "10.0.0.1"], ["2001:DB8:0:0::1", "2001:db8::1"], ["::", "::"], [
    "::1",
    "::1",
  ]] as const
) {
  Deno.test(`formatAddress() writes ${text} as ${canonical}`, () => {
    assert.equal(formatAddress(parseAddress(text)), canonical);
  });
}

Deno.test("isMappedIpv4() tells a mapped address from an IPv6 one", () => {
  assert.deepEqual(
    [isMappedIpv4(parseAddress("1.2.3.4")), isMappedIpv4(parseAddress("::102:304")), isMappedIpv4(parseAddress("fe80::1"))],
    [true, false, false],
  );
});

Deno.test("parseHostPort() reads IPv4, and IPv6 in brackets", () => {
  assert.deepEqual(parseHostPort("127.0.0.1:6343"), { address: parseAddress("127.0.0.1"), port: 6_343 });
  assert.deepEqual(parseHostPort("[::1]:0"), { address: parseAddress("::1"), port: 0 });
});

for (const text of ["127.0.0.1", "127.0.0.1:65536", "::1:80", "[::1]", "host:80", ":80", "127.0.0.1:"]) {
  Deno.test(`parseHostPort() refuses "${text}"`, () => {
    assert.throws(() => parseHostPort(text), SyntaxError);
  });
}

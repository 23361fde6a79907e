#pragma once

#include "limbo/own_graphs.h"

namespace flexroom::tls::testing {

inline std::vector<Plan> lengths_and_flags() {
  const Edits p0 = {constraints("critical,CA:TRUE,pathlen:0")};
  const Edits p1 = {constraints("critical,CA:TRUE,pathlen:1")};
  const Edits p2 = {constraints("critical,CA:TRUE,pathlen:2")};
  const Edits p3 = {constraints("critical,CA:TRUE,pathlen:3")};
  const Edit same = cn("Middle 0");  // self-issued
  return {
      {"pathlen::ee-with-intermediate-pathlen-0", true, {}, {p0}},
      {"pathlen::ee-with-intermediate-pathlen-1", true, {}, {p1}},
      {"pathlen::ee-with-intermediate-pathlen-2", true, {}, {p2}},
      {"pathlen::intermediate-violates-pathlen-0", false, {}, {p0, p0}},
      {"pathlen::intermediate-pathlen-may-increase", true, {}, {p1, p2}},
      {"pathlen::intermediate-pathlen-too-long", false, {}, {p1, p0, p0}},
      {"pathlen::self-issued-certs-pathlen", true, {}, {p0, {p0[0], same}}},
      {"own::pathlen::of-the-root", false, {}, {{}, {}}, p1},
      {"own::pathlen::of-the-root-kept", true, {}, {{}}, p1},
      {"own::pathlen::far-below", false, {}, {p2, {}, {}, {}}},
      {"own::pathlen::far-below-kept", true, {}, {p3, {}, {}, {}}},
      {"own::depth::ten", true, {}, std::vector<Edits>(8)},
      {"own::depth::eleven", false, {}, std::vector<Edits>(9)},
      {"rfc5280::intermediate-ca-without-ca-bit", false, {}, {{constraints("critical,CA:FALSE")}}},
      {"rfc5280::intermediate-ca-missing-basic-constraints", false, {}, {{constraints("none")}}},
      {"own::intermediate-non-critical-basic-constraints", false, {}, {{constraints("CA:TRUE")}}},
      {"rfc5280::root-missing-basic-constraints", false, {}, {}, {constraints("none")}},
      {"rfc5280::root-non-critical-basic-constraints", false, {}, {}, {constraints("CA:TRUE")}},
      {"rfc5280::root-inconsistent-ca-extensions", false, {}, {}, {usage("critical,cRLSign")}},
      {"rfc5280::ica-ku-keycertsign", false, {}, {{usage("critical,cRLSign")}}},
      {"own::intermediate-without-key-usage", true, {}, {{without(NID_key_usage)}}},
      {"rfc5280::leaf-ku-keycertsign", false, {usage("critical,digitalSignature,keyCertSign")}, {}},
      {"webpki::ee-basicconstraints-ca", false, {constraints("critical,CA:TRUE")}, {}},
      {"webpki::ca-as-leaf",
       false,
       {constraints("critical,CA:TRUE"), usage("critical,digitalSignature,keyCertSign")}},
      {"rfc5280::ca-as-leaf", true, {constraints("critical,CA:TRUE"), usage("keyCertSign")}},
      {"pathlen::validation-ignores-pathlen-in-leaf",
       true,
       {constraints("critical,CA:TRUE,pathlen:0"), usage("keyCertSign")},
       {p0}},
      {"own::leaf-ca-non-critical", false, {constraints("CA:TRUE")}},
      {"rfc5280::no-basicconstraints", true, {constraints("none")}},
      {"rfc5280::no-keyusage", true, {without(NID_key_usage)}},
      {"own::key-usage::encipherment-too", true, {usage("digitalSignature,keyEncipherment")}},
      {"own::key-usage::encipherment-alone", false, {usage("critical,keyEncipherment")}},
      {"own::key-usage::agreement-alone", false, {usage("critical,keyAgreement")}},
  };
}

inline std::vector<Plan> extended_usages() {
  return {
      {"webpki::eku::ee-without-eku", false, {eku("")}},
      {"rfc5280::eku::ee-without-eku", true, {eku("")}},
      {"rfc5280::eku::ee-wrong-eku", false, {eku("clientAuth")}},
      {"rfc5280::eku::ee-eku-empty", false, {eku(""), raw("2.5.29.37", false, {0x30, 0x00})}},
      {"webpki::eku::ee-anyeku", false, {eku("serverAuth,anyExtendedKeyUsage")}},
      {"own::eku::any-alone", false, {eku("anyExtendedKeyUsage")}},
      {"own::eku::both", true, {eku("clientAuth,serverAuth")}},
      {"own::eku::code-signing", false, {eku("codeSigning,OCSPSigning")}},
      {"webpki::eku::ee-critical-eku", false, {eku("critical,serverAuth")}},
      {"webpki::eku::root-has-eku", false, {}, {}, {eku("serverAuth")}},
      {"own::eku::root-for-clients", false, {}, {}, {eku("clientAuth")}},
      {"own::eku::intermediate-for-servers", true, {}, {{eku("serverAuth")}}},
      {"own::eku::intermediate-for-both", true, {}, {{eku("serverAuth,clientAuth")}}},
      {"own::eku::intermediate-for-clients", false, {}, {{eku("clientAuth")}}},
      {"own::eku::upper-intermediate-for-clients", false, {}, {{eku("clientAuth")}, {}}},
      {"own::eku::intermediate-for-mail", false, {}, {{eku("emailProtection")}}},
  };
}

inline std::vector<Plan> subject_names() {
  const auto name = [](const std::string& id, bool valid, const std::string& text,
                       const std::string& host) {
    return Plan{"webpki::san::" + id, valid, {san(text)}, {}, {}, host};
  };
  const auto bytes = [](const std::string& id, const std::string& text, const std::string& host) {
    return Plan{id, false, {raw_san(text)}, {}, {}, host};
  };
  return {
      name("exact-dns-san", true, "DNS:api.example", "api.example"),
      name("mismatch-domain-san", false, "DNS:example.com", "example2.com"),
      name("mismatch-subdomain-san", false, "DNS:abc.example.com", "def.example.com"),
      name("mismatch-subdomain-apex-san", false, "DNS:example.com", "abc.example.com"),
      name("mismatch-apex-subdomain-san", false, "DNS:abc.example.com", "example.com"),
      name("public-suffix-wildcard-san", false, "DNS:*.com", "example.com"),
      name("public-suffix-multi-label-wildcard-san", false, "DNS:*.co.uk", "example.co.uk"),
      name("public-suffix-private-namespace-wildcard-san", false, "DNS:*.s3.amazonaws.com",
           "example.s3.amazonaws.com"),
      name("leftmost-wildcard-san", true, "DNS:*.example.com", "foo.example.com"),
      name("wildcard-embedded-leftmost-san", false, "DNS:ba*.example.com", "baz.example.com"),
      name("wildcard-not-in-leftmost-san", false, "DNS:foo.*.example.com", "foo.bar.example.com"),
      name("wildcard-match-across-labels-san", false, "DNS:*.example.com", "foo.bar.example.com"),
      name("wildcard-embedded-ulabel-san", false, "DNS:xn--*-1b3c148a.example.com",
           "xn--bliss-1b3c148a.example.com"),
      bytes("webpki::san::unicode-emoji-san", "\xf0\x9f\x98\x9c.example.com",
            "xn--628h.example.com"),
      name("no-san", false, "", "api.example"),
      name("san-wildcard-only", false, "DNS:*", "example.com"),
      name("san-wildcard-only-tld", false, "DNS:*", "com"),
      name("san-critical-with-nonempty-subject", false, "critical,DNS:api.example", "api.example"),
      name("exact-localhost-ip-san", true, "IP:127.0.0.1", "127.0.0.1"),
      {"own::san::wildcard-of-the-apex", false, {san("DNS:*.example.com")}, {}, {}, "example.com"},
      {"own::san::wildcard-suffix", false, {san("DNS:*b.example.com")}, {}, {}, "ab.example.com"},
      {"own::san::two-wildcards", false, {san("DNS:*.*.example.com")}, {}, {}, "a.b.example.com"},
      {"own::san::upper-case", true, {san("DNS:API.Example")}},
      {"own::san::one-of-many", true, {san("DNS:a.example,DNS:b.example,DNS:api.example")}},
      {"own::san::uri-alone", false, {san("URI:https://api.example/")}},
      {"own::san::mail-alone", false, {san("email:me@api.example")}},
      {"own::san::address-alone", false, {san("IP:192.0.2.1")}},
      bytes("own::san::nul-within", std::string("api.example\0.evil.example", 25), "api.example"),
      bytes("own::san::nul-behind", std::string("api.example\0", 12), "api.example"),
      {"own::san::empty-label-beside", false, {san("DNS:a..example,DNS:api.example")}},
      {"rfc5280::san::malformed", false, {san(""), raw("2.5.29.17", false, {'a', 'p', 'i'})}},
      {"rfc5280::san::noncritical-with-empty-subject", false, {no_subject()}},
      {"own::san::critical-with-empty-subject",
       true,
       {san("critical,DNS:api.example"), no_subject()}},
      {"rfc5280::san::underscore-dns", false, {san("DNS:a_b.example")}, {}, {}, "a_b.example"},
      {"rfc5280::san::ip-in-dns", false, {san("DNS:8.8.8.8")}, {}, {}, "8.8.8.8"},
      // The common name is not looked at, whatever it says.
      {"webpki::cn::not-in-san", false, {cn("other.example")}},
      {"webpki::cn::case-mismatch", false, {cn("API.example")}},
      {"webpki::cn::punycode-not-in-san", false, {cn("xn--n3h.example")}},
      {"own::cn::alone", false, {san("DNS:other.example")}},
      {"own::cn::beside-an-address", false, {san("IP:192.0.2.1")}},
  };
}

inline std::vector<Plan> name_constraints() {
  const auto at_root = [](const std::string& id, bool valid, const std::string& bound,
                          const std::string& leaf, const std::string& host) {
    return Plan{"rfc5280::nc::" + id, valid, {san(leaf)}, {}, {names("critical," + bound)}, host};
  };
  const auto at_middle = [](const std::string& id, bool valid, const std::string& bound,
                            const std::string& leaf, const std::string& host) {
    return Plan{id, valid, {san(leaf)}, {{names("critical," + bound)}}, {}, host};
  };
  const std::string foo = "permitted;DNS:foo.example", bar = "permitted;DNS:bar.example";
  const Edit both = names("critical," + foo + "," + bar), one = names("critical," + bar);
  const std::string net = "IP:192.0.2.0/255.255.255.0", wild = "DNS:*.foo.example";
  const std::string host = "api.example", own = "DNS:api.example";
  return {
      at_root("permitted-dns-mismatch", false, "permitted;DNS:example.com", "DNS:not-example.com",
              "not-example.com"),
      at_root("permitted-dns-match", true, "permitted;DNS:api.example", own, host),
      at_root("permitted-dns-match-more", true, "permitted;DNS:example.com",
              "DNS:foo.bar.example.com", "foo.bar.example.com"),
      at_middle("rfc5280::nc::excluded-dns-match", false, "excluded;DNS:api.example", own, host),
      at_root("excluded-dns-match-second", false, "excluded;DNS:bad.example",
              own + ",DNS:bad.example", host),
      at_middle("own::nc::permitted-second-outside", false, "permitted;DNS:api.example",
                own + ",DNS:other.example", host),
      at_middle("own::nc::no-label-boundary", false, "permitted;DNS:example", "DNS:anexample",
                "anexample"),
      at_middle("own::nc::excluded-no-label-boundary", true, "excluded;DNS:pi.example", own, host),
      at_middle("own::nc::excluded-upper-case", false, "excluded;DNS:API.example", own, host),
      at_middle("own::nc::leading-period-excluded", false, "excluded;DNS:.example", own, host),
      at_middle("own::nc::leading-period-apex", false, "permitted;DNS:.api.example", own, host),
      at_root("invalid-dnsname-leading-period", false, "permitted;DNS:.example", own, host),
      at_root("invalid-dnsname-wildcard", false, "permitted;DNS:*.example", own, host),
      {"rfc5280::nc::permitted-dns-match-noncritical",
       false,
       {},
       {},
       {names("permitted;DNS:api.example")}},
      {"webpki::nc::permitted-dns-match-noncritical",
       true,
       {},
       {},
       {names("permitted;DNS:api.example")}},
      {"own::nc::noncritical-is-enforced", false, {}, {}, {names("excluded;DNS:api.example")}},
      at_root("excluded-match-permitted-and-excluded", false,
              "permitted;DNS:api.example,excluded;DNS:api.example", own, host),
      at_root("permitted-different-constraint-type", true, "permitted;" + net, own, host),
      at_root("excluded-different-constraint-type", true, "excluded;" + net, own, host),
      at_root("permitted-ip-mismatch", false, "permitted;" + net, "IP:192.0.3.1", "192.0.3.1"),
      at_root("excluded-ipv4-match", false, "excluded;" + net, "IP:192.0.2.1", "192.0.2.1"),
      at_root("permitted-ipv4-match", true, "permitted;" + net, "IP:192.0.2.1", "192.0.2.1"),
      at_root("permitted-ipv6-match", true,
              "permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "IP:::1", "::1"),
      at_middle("own::nc::address-beside-the-name", false, "permitted;" + net,
                own + ",IP:192.0.3.1", host),
      at_middle("own::nc::address-excluded", false, "excluded;" + net, own + ",IP:192.0.2.7", host),
      at_middle("own::nc::mail-beside-the-name", false, "permitted;email:example",
                own + ",email:me@other.test", host),
      {"rfc5280::nc::permitted-dn-mismatch",
       false,
       {cn("not-foo")},
       {},
       {directory_name("permitted", "foo")}},
      {"own::nc::permitted-dn-match", true, {cn("foo")}, {}, {directory_name("permitted", "foo")}},
      {"rfc5280::nc::excluded-dn-match",
       false,
       {cn("foo")},
       {},
       {directory_name("excluded", "foo")}},
      {"rfc5280::nc::not-allowed-in-ee-critical",
       false,
       {names("critical,permitted;DNS:api.example")}},
      {"rfc5280::nc::not-allowed-in-ee-noncritical", false, {names("permitted;DNS:api.example")}},
      {"rfc5280::nc::restrictive-permits-in-intermediates-narrows",
       false,
       {san("DNS:foo.example")},
       {{both}, {one}},
       {},
       "foo.example"},
      {"rfc5280::nc::restrictive-permits-in-intermediates-widens",
       false,
       {san("DNS:foo.example")},
       {{one}, {both}},
       {},
       "foo.example"},
      {"own::nc::inside-both", true, {san("DNS:bar.example")}, {{both}, {one}}, {}, "bar.example"},
      {"rfc5280::nc::intermediate-with-san-rejected-by-root-nc",
       false,
       {},
       {{san("DNS:bad.example")}},
       {names("critical,excluded;DNS:bad.example")}},
      at_middle("rfc5280::nc::nc-forbids-dnsname-wildcard-san", false,
                "excluded;DNS:bar.foo.example", wild, "bar.foo.example"),
      at_middle("own::nc::wildcard-beside-an-excluded-name", false, "excluded;DNS:bar.foo.example",
                wild, "api.foo.example"),
      at_middle("cve::cve-2025-61727", false, "excluded;DNS:foo.foo.example", wild,
                "bar.foo.example"),
      at_middle("cve::cve-2025-61727-nc-permits-variant", false, "permitted;DNS:foo.foo.example",
                wild, "foo.foo.example"),
      at_middle("own::nc::wildcard-above-what-is-excluded", true, "excluded;DNS:a.b.foo.example",
                wild, "api.foo.example"),
      at_middle("webpki::nc::nc-permits-dns-san-pattern", true, "permitted;DNS:foo.example", wild,
                "api.foo.example"),
      {"rfc5280::nc::nc-permits-invalid-dns-san",
       false,
       {san("DNS:.api.example,DNS:api.example")},
       {{names("critical,permitted;DNS:api.example")}}},
      {"webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
       false,
       {},
       {{raw("2.5.29.30", true, {0x30, 0x00})}}},
      {"webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
       false,
       {},
       {{raw("2.5.29.30", true, {0x30, 0x04, 0xa0, 0x00, 0xa1, 0x00})}}},
      {"own::nc::permitted-is-empty",
       false,
       {},
       {{raw("2.5.29.30", true, {0x30, 0x02, 0xa0, 0x00})}}},
      {"own::nc::malformed", false, {}, {{raw("2.5.29.30", true, {0x05, 0x00})}}},
  };
}

inline std::vector<Plan> times() {
  const Edits now = {valid_from(0)}, second = {valid_from(1)}, five = {valid_from(5)};
  return {
      {"rfc5280::validity::expired-root", false, {}, {{}}, {valid_until(-60)}},
      {"rfc5280::validity::expired-intermediate", false, {}, {{valid_until(-60)}}},
      {"rfc5280::validity::expired-leaf", false, {valid_until(-60)}},
      {"rfc5280::validity::notbefore-exact", true, now},
      {"rfc5280::validity::not-yet-valid-1-second", false, second},
      {"rfc5280::validity::not-yet-valid-5-seconds", false, five},
      {"rfc5280::validity::notafter-exact", true, {valid_until(0)}},
      {"rfc5280::validity::expired-1-second", false, {valid_until(-1)}},
      {"rfc5280::validity::expired-5-seconds", false, {valid_until(-5)}},
      {"own::validity::intermediate-not-yet", false, {}, {second}},
      {"own::validity::root-not-yet", false, {}, {{}}, second},
      {"own::validity::intermediate-last-second", true, {}, {{valid_until(0)}}},
  };
}

inline std::vector<Plan> forms() {
  Bytes longest(20, 0x55), longer(21, 0x55);
  return {
      {"rfc5280::unknown-critical-extension-ee", false, {unknown_critical()}},
      {"rfc5280::unknown-critical-extension-intermediate", false, {}, {{unknown_critical()}}},
      {"rfc5280::unknown-critical-extension-root", false, {}, {{}}, {unknown_critical()}},
      {"own::unknown-extension", true, {raw("1.3.6.1.4.1.55738.666.1", false, {5, 0})}},
      {"rfc5280::serial::zero", false, {serial({0})}},
      {"rfc5280::serial::negative", false, {serial({0x2a}, true)}},
      {"rfc5280::serial::too-long", false, {serial(longer)}},
      {"own::serial::twenty-bytes", true, {serial(longest)}},
      {"own::serial::zero-of-an-intermediate", false, {}, {{serial({0})}}},
      {"own::serial::negative-of-an-intermediate", false, {}, {{serial({0x2a}, true)}}},
      {"rfc5280::aki::leaf-missing-aki", false, {without(NID_authority_key_identifier)}},
      {"rfc5280::aki::intermediate-missing-aki",
       false,
       {},
       {{without(NID_authority_key_identifier)}}},
      {"rfc5280::aki::self-signed-root-missing-aki", true},
      {"rfc5280::aki::critical-aki",
       false,
       {},
       {{with(NID_authority_key_identifier, "critical,keyid")}}},
      {"rfc5280::ski::root-missing-ski",
       false,
       {without(NID_authority_key_identifier)},
       {},
       {without(NID_subject_key_identifier)}},
      {"rfc5280::ski::intermediate-missing-ski",
       false,
       {without(NID_authority_key_identifier)},
       {{without(NID_subject_key_identifier)}}},
      {"rfc5280::ski::critical-ski",
       false,
       {},
       {{with(NID_subject_key_identifier, "critical,hash")}}},
      {"rfc5280::pc::ica-noncritical-pc",
       false,
       {},
       {{with(NID_policy_constraints, "requireExplicitPolicy:10")}}},
      {"rfc5280::ee-aia", true, {with(NID_info_access, "caIssuers;URI:http://ca.example/ca.der")}},
      {"webpki::malformed-aia", false, {raw("1.3.6.1.5.5.7.1.1", false, {'m', 'a', 'l'})}},
      {"rfc5280::duplicate-extensions",
       false,
       {raw("2.5.29.37", false, {0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1})}},
      {"rfc5280::ca-empty-subject", false, {}, {}, {no_subject()}},
      {"webpki::v1-cert", false, {alter([](X509* cert) {
         X509_set_version(cert, X509_VERSION_2);
       })}},
  };
}

inline std::vector<Plan> keys_and_hashes() {
  std::vector<Plan> out = {
      {"webpki::forbidden-p192-leaf", false, {key("P-192")}, {}},
      {"webpki::forbidden-p192-root", false, {}, {}, {key("P-192")}},
      {"webpki::forbidden-dsa-leaf", false, {key("dsa")}, {}},
      {"webpki::forbidden-dsa-root", false, {}, {}, {key("dsa")}},
      {"webpki::forbidden-weak-rsa-in-leaf", false, {key("rsa1024")}, {}},
      {"webpki::forbidden-weak-rsa-key-in-root", false, {}, {}, {key("rsa1024")}},
      {"own::key::weak-rsa-in-an-intermediate", false, {}, {{key("rsa1024")}}},
      {"webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf", false, {key("rsa2052")}, {}},
      {"webpki::forbidden-rsa-not-divisible-by-8-in-root", false, {}, {}, {key("rsa2052")}},
      {"own::key::rsa-even-modulus", false, {rsa_numbers(false, 65537)}, {}},
      {"own::key::rsa-even-exponent", false, {rsa_numbers(true, 65536)}, {}},
      {"own::key::rsa-exponent-one", false, {rsa_numbers(true, 1)}, {}},
      {"own::key::rsa-exponent-three", true, {rsa_numbers(true, 3)}, {}},
      {"webpki::explicit-curve", false, {explicit_curve()}, {}},
      {"own::hash::sha1-of-the-leaf", false, {signed_with(EVP_sha1())}},
      {"own::hash::sha1-of-an-intermediate", false, {}, {{signed_with(EVP_sha1())}}},
      {"own::hash::sha1-of-the-root-itself", true, {}, {{}}, {signed_with(EVP_sha1())}},
      {"own::hash::sha224-of-the-leaf", false, {signed_with(EVP_sha224())}},
      {"own::hash::sha384", true, {signed_with(EVP_sha384())}, {{signed_with(EVP_sha512())}}},
  };
  for (const char* kind : {"P-256", "P-384", "P-521", "rsa2048"}) {
    out.push_back({std::string("own::key::root-") + kind, true, {}, {{}}, {key(kind)}});
    out.push_back({std::string("own::key::intermediate-") + kind, true, {}, {{key(kind)}}});
    out.push_back({std::string("own::key::leaf-") + kind, true, {key(kind)}});
  }
  for (const char* kind : {"P-224", "secp256k1", "ed448"}) {
    out.push_back({std::string("own::key::leaf-") + kind, false, {key(kind)}});
  }
  return out;
}

inline std::vector<LimboCase> own_cases() {
  std::vector<LimboCase> out;
  for (const auto& plans : {lengths_and_flags(), extended_usages(), subject_names(),
                            name_constraints(), times(), forms(), keys_and_hashes()}) {
    for (const Plan& plan : plans) out.push_back(chain_of(plan));
  }
  add_twins(out);
  add_graphs(out);
  add_floods(out);
  return out;
}

}  // namespace flexroom::tls::testing

#pragma once

#include <algorithm>

#include "limbo/limbo_rig.h"

// Which path is found, and that none is made up.
namespace flexroom::tls::testing {

inline LimboCase graph(const std::string& id, bool valid, const std::vector<Cert>& roots,
                       const std::vector<Cert>& chain) {
  LimboCase out{id, valid, {}, "", "api.example"};
  for (const Cert& root : roots) out.roots += to_pem(root);
  for (const Cert& cert : chain) out.chain.push_back(to_der(cert));
  return out;
}

/// Another certificate of the same name and key.
inline Cert again(const Made& made, const Made& issuer, const Edits& edits,
                  const std::string& name = "Middle") {
  Role role = authority(name);
  role.options.more.emplace_back(NID_authority_key_identifier, "keyid");
  for (const Edit& edit : edits) edit(role);
  return make_cert(role.options, made.key, issuer.cert, issuer.key);
}

/// One certificate of the intermediate holds, the other has a fault, in both orders.
inline void add_twins(std::vector<LimboCase>& out) {
  const Made root = make_root(), stranger = make_root({cn("Stranger")});
  const Made middle = make_middle(root), leaf = make_leaf(middle);
  const std::vector<std::pair<std::string, Edits>> faults = {
      {"expired", {valid_until(-60)}},
      {"not-yet-valid", {valid_from(60)}},
      {"no-authority", {constraints("critical,CA:FALSE")}},
      {"no-basic-constraints", {constraints("none")}},
      {"no-certificate-signing", {usage("critical,cRLSign")}},
      {"for-clients", {eku("clientAuth")}},
      {"excluded-name", {names("critical,excluded;DNS:api.example")}},
      {"other-permitted-name", {names("critical,permitted;DNS:other.example")}},
      {"weak-hash", {signed_with(EVP_sha1())}},
      {"unknown-critical-extension", {unknown_critical()}},
      {"serial-of-zero", {serial({0})}},
  };
  for (const auto& [name, fault] : faults) {
    const Cert bad = again(middle, root, fault);
    out.push_back(
        graph("own::twins::" + name + "-first", true, {root.cert}, {leaf.cert, bad, middle.cert}));
    out.push_back(
        graph("own::twins::" + name + "-last", true, {root.cert}, {leaf.cert, middle.cert, bad}));
    out.push_back(graph("own::twins::" + name + "-alone", false, {root.cert}, {leaf.cert, bad}));
  }
  const Cert crossed = again(middle, stranger, {});
  out.push_back(graph("own::twins::unknown-root-first", true, {root.cert},
                      {leaf.cert, crossed, stranger.cert, middle.cert}));
  out.push_back(graph("own::twins::unknown-root-alone", false, {root.cert},
                      {leaf.cert, crossed, stranger.cert}));
  // The name of the issuer, another key.
  const Made impostor = make_middle(root);
  out.push_back(
      graph("own::issuer::same-name-other-key", false, {root.cert}, {leaf.cert, impostor.cert}));
  out.push_back(graph("own::issuer::same-name-other-key-first", true, {root.cert},
                      {leaf.cert, impostor.cert, middle.cert}));
}

inline void add_graphs(std::vector<LimboCase>& out) {
  const Made root = make_root(), other = make_root({cn("Other Root")});
  const Made middle = make_middle(root), leaf = make_leaf(middle);
  out.push_back(graph("rfc5280::chain-untrusted-root", false, {other.cert},
                      {leaf.cert, middle.cert, root.cert}));
  out.push_back(graph("webpki::cryptographydotio-chain-missing-intermediate", false, {root.cert},
                      {leaf.cert}));
  out.push_back(graph("own::order-of-the-rest", true, {root.cert},
                      {leaf.cert, other.cert, root.cert, middle.cert}));
  const Cert by_other = again(middle, other, {});
  const Cert old = again(middle, other, {valid_until(-60)});
  out.push_back(graph("pathological::multiple-chains-expired-intermediate", true,
                      {root.cert, other.cert}, {leaf.cert, old, middle.cert}));
  const Cert narrow = again(middle, other, {names("critical,permitted;DNS:other.example")});
  out.push_back(graph("rfc5280::nc::nc-forbids-alternate-chain-ica", true, {root.cert, other.cert},
                      {leaf.cert, narrow, middle.cert}));
  const Made strange = make_root({cn("Strange"), unknown_critical()});
  out.push_back(graph("rfc5280::unknown-critical-extension-unrelated-root", true,
                      {root.cert, strange.cert}, {leaf.cert, middle.cert}));
  const Made unrelated = make_middle(root, {unknown_critical()}, "Unrelated");
  out.push_back(graph("rfc5280::unknown-critical-extension-unrelated-intermediate", true,
                      {root.cert}, {leaf.cert, middle.cert, unrelated.cert}));

  // Authorities that certify each other, and no root behind them.
  const Made a = make_middle(other, {}, "A"), b = make_middle(other, {}, "B");
  const Cert a_by_b = again(a, b, {}, "A"), b_by_a = again(b, a, {}, "B");
  const Made below = make_leaf(a);
  out.push_back(graph("pathological::intermediate-cycle-distinct-cas", false, {root.cert},
                      {below.cert, a_by_b, b_by_a}));
  out.push_back(
      graph("own::cycle-with-a-way-out", true, {other.cert}, {below.cert, a_by_b, b_by_a, b.cert}));
  const Made c = make_middle(other, {}, "C"), c2 = make_middle(other, {}, "C");
  out.push_back(graph("pathological::intermediate-cycle-same-logical-ca", false, {root.cert},
                      {make_leaf(c).cert, again(c, c2, {}, "C"), again(c2, c, {}, "C")}));

  // A trust anchor that is itself signed by somebody: an intermediate, for `trust = "exact"`.
  LimboCase swapped =
      graph("rfc5280::root-and-intermediate-swapped", true, {middle.cert}, {leaf.cert, root.cert});
  out.push_back(swapped);
  swapped.id = "own::exact::root-and-intermediate-swapped";
  swapped.exact = true;
  out.push_back(swapped);
  const Made ring = make_middle(make_root({cn("Above")}), {}, "Ring");
  const Made x = make_middle(ring, {}, "X"), y = make_middle(ring, {}, "Y");
  const Made first = make_middle(ring, {}, "First");
  LimboCase cve = graph(
      "cve::cve-2024-0567", true, {ring.cert},
      {make_leaf(first).cert, first.cert, again(ring, x, {}, "Ring"), again(ring, y, {}, "Ring"),
       x.cert, again(x, y, {}, "X"), y.cert, again(y, x, {}, "Y")});
  out.push_back(cve);
  cve.id = "own::exact::cve-2024-0567";
  cve.exact = true;
  out.push_back(cve);
  LimboCase pinned = graph("own::exact::leaf-below-another", false, {middle.cert}, {});
  pinned.exact = true;
  pinned.chain = {to_der(make_leaf(other).cert)};
  out.push_back(pinned);

  // The signature says another algorithm outside than inside.
  LimboCase bent = graph("rfc5280::mismatching-signature-algorithm", false, {root.cert},
                         {leaf.cert, middle.cert});
  const Bytes oid = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
  const auto at = std::find_end(bent.chain[0].begin(), bent.chain[0].end(), oid.begin(), oid.end());
  *(at + static_cast<long>(oid.size()) - 1) = 0x03;
  out.push_back(bent);
  LimboCase forged = graph("own::signature-changed", false, {root.cert}, {leaf.cert, middle.cert});
  forged.chain[1].back() ^= 1;
  out.push_back(forged);
}

/// Certificates that a verifier could be kept busy with: refused, and soon.
inline void add_floods(std::vector<LimboCase>& out) {
  const Made root = make_root(), elsewhere = make_root({cn("Elsewhere")});
  for (const bool same_name : {false, true}) {
    for (const bool same_key : {false, true}) {
      const Key key = make_key("P-256");
      Made issuer = make_middle(elsewhere, {}, "Flood");
      if (same_key) issuer = {again({nullptr, key}, elsewhere, {}, "Flood"), key};
      std::vector<Cert> chain;
      for (int i = 0; i < 30; ++i) {
        const std::string name = same_name ? "Flood" : "Flood " + std::to_string(i);
        issuer = same_key ? Made{again({nullptr, key}, issuer, {}, name), key}
                          : make_middle(issuer, {}, name);
        chain.insert(chain.begin(), issuer.cert);
      }
      chain.insert(chain.begin(), make_leaf(issuer).cert);
      out.push_back(graph(std::string("pathological::pathological-chain-") +
                              (same_name ? "same" : "distinct") + "-subject-" +
                              (same_key ? "same" : "distinct") + "-key",
                          false, {root.cert}, chain));
    }
  }
  std::string many = "DNS:api.example", bounds = "critical";
  for (int i = 0; i < 1100; ++i) {
    many += ",DNS:t" + std::to_string(i) + ".test";
    bounds += ",excluded;DNS:x" + std::to_string(i) + ".test";
  }
  out.push_back(chain_of({"pathological::nc-dos-2", false, {san(many)}, {}, {names(bounds)}}));
}

}  // namespace flexroom::tls::testing

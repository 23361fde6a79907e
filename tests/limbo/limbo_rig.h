#pragma once

#include <openssl/bn.h>
#include <openssl/param_build.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "unit/tls/fake_server.h"

// Chains by the classes of x509-limbo, made with OpenSSL; nothing of its text or data. A case that
// has the name of one there says what that one says and expects the same; names of ours begin with
// "own::".
namespace flexroom::tls::testing {

struct LimboCase {
  std::string id;
  bool valid = false;
  std::vector<Bytes> chain;  // as a server sends it, leaf first
  std::string roots;         // PEM
  std::string host;
  time_t at = kNow;
  bool exact = false;     // `trust = "exact"`
  std::string crls = {};  // PEM, as of `crl_file`
};

/// A certificate to be: its options and the kind of its key.
struct Role {
  CertOptions options;
  std::string key = "P-256";
};
using Edit = std::function<void(Role&)>;
using Edits = std::vector<Edit>;

// --- edits, each one fault or one legal oddity ---

inline Edit san(const std::string& names) {
  return [=](Role& role) { role.options.names = names; };
}
inline Edit eku(const std::string& usage) {
  return [=](Role& role) { role.options.usage = usage; };
}
inline Edit constraints(const std::string& value) {
  return [=](Role& role) { role.options.constraints = value; };
}
inline Edit cn(const std::string& name) {
  return [=](Role& role) { role.options.common_name = name; };
}
inline Edit key(const std::string& kind) {
  return [=](Role& role) { role.key = kind; };
}
inline Edit signed_with(const EVP_MD* digest) {
  return [=](Role& role) { role.options.digest = digest; };
}
inline Edit valid_from(long seconds) {
  return [=](Role& role) { role.options.not_before = seconds; };
}
inline Edit valid_until(long seconds) {
  return [=](Role& role) { role.options.not_after = seconds; };
}
inline Edit without(int nid) {
  return [=](Role& role) {
    std::erase_if(role.options.more, [&](const auto& one) { return one.first == nid; });
  };
}
/// In place of the one that is there.
inline Edit with(int nid, const std::string& value) {
  return [=](Role& role) {
    without(nid)(role);
    role.options.more.emplace_back(nid, value);
  };
}
inline Edit usage(const std::string& value) { return with(NID_key_usage, value); }
inline Edit names(const std::string& value) { return with(NID_name_constraints, value); }
inline Edit alter(const std::function<void(X509*)>& change) {
  return [=](Role& role) { role.options.alter = change; };
}

inline void add_raw(X509* cert, const std::string& oid, bool critical, const Bytes& value) {
  ASN1_OBJECT* object = OBJ_txt2obj(oid.c_str(), 1);
  ASN1_OCTET_STRING* octets = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(octets, value.data(), static_cast<int>(value.size()));
  X509_EXTENSION* extension =
      X509_EXTENSION_create_by_OBJ(nullptr, object, critical ? 1 : 0, octets);
  FLEXROOM_ASSERT(extension != nullptr && X509_add_ext(cert, extension, -1) == 1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(octets);
  ASN1_OBJECT_free(object);
}
inline Edit raw(const std::string& oid, bool critical, const Bytes& value) {
  return alter([=](X509* cert) { add_raw(cert, oid, critical, value); });
}
inline Edit unknown_critical() { return raw("1.3.6.1.4.1.55738.666.1", true, {0x05, 0x00}); }
inline Edit serial(const Bytes& magnitude, bool negative = false) {
  return alter([=](X509* cert) {
    ASN1_INTEGER* number = X509_get_serialNumber(cert);
    ASN1_STRING_set(number, magnitude.data(), static_cast<int>(magnitude.size()));
    number->type = negative ? V_ASN1_NEG_INTEGER : V_ASN1_INTEGER;
  });
}
inline Edit no_subject() {
  return alter([](X509* cert) {
    X509_NAME* empty = X509_NAME_new();
    X509_set_subject_name(cert, empty);
    X509_NAME_free(empty);
  });
}
/// A SAN of one dNSName, byte for byte: what OpenSSL's text form would not write.
inline Edit raw_san(const std::string& name) {
  Bytes value = {0x30, static_cast<uint8_t>(name.size() + 2), 0x82,
                 static_cast<uint8_t>(name.size())};
  append(value, name);
  return [=](Role& role) {
    san("")(role);
    raw("2.5.29.17", false, value)(role);
  };
}

/// The leaf's key with another encoding, or RSA numbers as given; nothing is signed with it.
inline Edit explicit_curve() {
  return alter([](X509* cert) {
    const Key own = make_key("P-256");
    FLEXROOM_ASSERT(EVP_PKEY_set_utf8_string_param(own.get(), "encoding", "explicit") == 1 &&
                    X509_set_pubkey(cert, own.get()) == 1);
  });
}
inline Edit rsa_numbers(bool odd_modulus, unsigned long exponent) {
  return alter([=](X509* cert) {
    BIGNUM *n = BN_new(), *e = BN_new();
    FLEXROOM_ASSERT(BN_rand(n, 2048, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD) == 1 &&
                    (odd_modulus || BN_sub_word(n, 1) == 1) && BN_set_word(e, exponent) == 1);
    OSSL_PARAM_BLD* build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(build, "n", n);
    OSSL_PARAM_BLD_push_BN(build, "e", e);
    OSSL_PARAM* numbers = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX* ctx = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
    EVP_PKEY* made = nullptr;
    FLEXROOM_ASSERT(EVP_PKEY_fromdata_init(ctx) == 1 &&
                    EVP_PKEY_fromdata(ctx, &made, EVP_PKEY_PUBLIC_KEY, numbers) == 1 &&
                    X509_set_pubkey(cert, made) == 1);
    EVP_PKEY_free(made);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(numbers);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
  });
}
/// A name constraint on the subject's directory name, which OpenSSL's text form has no room for.
inline Edit directory_name(const std::string& list, const std::string& name) {
  return alter([=](X509* cert) {
    NAME_CONSTRAINTS* value = NAME_CONSTRAINTS_new();
    GENERAL_SUBTREE* subtree = GENERAL_SUBTREE_new();
    X509_NAME* base = X509_NAME_new();
    X509_NAME_add_entry_by_txt(base, "CN", MBSTRING_ASC,
                               reinterpret_cast<const uint8_t*>(name.c_str()), -1, -1, 0);
    GENERAL_NAME_set0_value(subtree->base, GEN_DIRNAME, base);
    STACK_OF(GENERAL_SUBTREE)* subtrees = sk_GENERAL_SUBTREE_new_null();
    sk_GENERAL_SUBTREE_push(subtrees, subtree);
    (list == "permitted" ? value->permittedSubtrees : value->excludedSubtrees) = subtrees;
    FLEXROOM_ASSERT(X509_add1_ext_i2d(cert, NID_name_constraints, value, 1, 0) == 1);
    NAME_CONSTRAINTS_free(value);
  });
}

// --- how a chain is put together ---

struct Made {
  Cert cert;
  Key key;
};

/// What takes long to make is made once a kind.
inline Key key_of(const std::string& kind) {
  static std::map<std::string, Key> slow;
  if (!kind.starts_with("rsa") && kind != "dsa") return make_key(kind);
  Key& key = slow[kind];
  if (key == nullptr) key = make_key(kind);
  return key;
}

inline Made make(Role role, const Edits& edits, const Made* issuer) {
  for (const Edit& edit : edits) edit(role);
  const Key own = key_of(role.key);
  return {make_cert(role.options, own, issuer != nullptr ? issuer->cert : nullptr,
                    issuer != nullptr ? issuer->key : own),
          own};
}
inline Role authority(const std::string& name) {
  Role role{Pki::ca(name), "P-256"};
  role.options.more = {{NID_subject_key_identifier, "hash"},
                       {NID_key_usage, "critical,keyCertSign,cRLSign"}};
  return role;
}
inline Made make_root(const Edits& edits = {}) { return make(authority("Root"), edits, nullptr); }
inline Made make_middle(const Made& issuer, const Edits& edits = {},
                        const std::string& name = "Middle") {
  Role role = authority(name);
  role.options.more.emplace_back(NID_authority_key_identifier, "keyid");
  return make(role, edits, &issuer);
}
inline Made make_leaf(const Made& issuer, const Edits& edits = {}) {
  Role role;
  role.options.common_name = "api.example";
  role.options.more = {{NID_key_usage, "critical,digitalSignature"},
                       {NID_authority_key_identifier, "keyid"}};
  return make(role, edits, &issuer);
}

/// Root, authorities below each other, leaf. `middles` empty: the leaf is the root's.
struct Plan {
  std::string id;
  bool valid = false;
  Edits leaf = {};
  std::vector<Edits> middles = {{}};
  Edits root = {};
  std::string host = "api.example";
  long at = 0;  // seconds from kNow
};

inline LimboCase chain_of(const Plan& plan) {
  LimboCase out;
  out.id = plan.id;
  out.valid = plan.valid;
  out.host = plan.host;
  out.at = kNow + plan.at;
  Made issuer = make_root(plan.root);
  out.roots = to_pem(issuer.cert);
  for (size_t i = 0; i < plan.middles.size(); ++i) {
    issuer = make_middle(issuer, plan.middles[i], "Middle " + std::to_string(i));
    out.chain.insert(out.chain.begin(), to_der(issuer.cert));
  }
  out.chain.insert(out.chain.begin(), to_der(make_leaf(issuer, plan.leaf).cert));
  return out;
}

}  // namespace flexroom::tls::testing

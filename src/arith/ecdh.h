#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "arith/poly1305.h"
#include "base/named_group.h"
#include "net/party.h"
#include "prep/prep.h"

namespace flexroom::arith {

class TokenSecrets;  // k_i, R_i and the seven authenticated monomials; dh_online.h

/// Everything one ECDHE key exchange needs, made beforehand (tls-in-mpc.md §2.3). Single use: one
/// server share, one opening. Move-only; secrets are wiped.
struct Token {
  NamedGroup group = NamedGroup::kX25519;
  Digest id{};      // RO digest of the token index of this session; for the journal
  Bytes key_share;  // K as the ClientHello carries it; public
  /// rho[i]: bits of the mask of party i, LSB first, as many as a coordinate has (255 or
  /// 256), known to i. Inputs (group kZero) of the circuit that computes
  /// x = c - sum rho_i mod p.
  std::vector<prep::AuthBits> rho;
  std::unique_ptr<TokenSecrets> secrets;  // null once used

  Token();
  Token(Token&&) noexcept;
  Token& operator=(Token&&) noexcept;
  ~Token();
};

/// The key share of the ClientHello.
inline const Bytes& key_share(const Token& token) { return token.key_share; }

/// Arithmetic preprocessing of one session: F_p keys of each prime (made when first needed, never
/// persisted), tokens and the masks of Poly1305 tags.
///
/// Any ProtocolAbort of class F_p cheat ends the engine: its keys must not serve another try. Later
/// calls throw kRefusedByRule; a new session has a new engine.
///
/// Source   tls-in-mpc.md §1, §2.2, §2.3, §4.7, §1.11
class ArithEngine {
 public:
  ArithEngine(net::Party& party, prep::Source& source);
  ~ArithEngine();
  ArithEngine(const ArithEngine&) = delete;
  ArithEngine& operator=(const ArithEngine&) = delete;

  /// Runs with all members, equal arguments everywhere. About 16 + 3(n-1) half rounds a call and
  /// 0.9 MB a token, direction and peer.
  std::vector<Token> make_tokens(NamedGroup group, size_t count);

  /// One for every entry, an entry being the blocks of that tag (poly1305_aead_block_count). Runs
  /// with all members, equal arguments everywhere. 19.9 KB a triple, direction and peer.
  std::vector<Poly1305Masks> make_poly1305(std::span<const size_t> blocks);

  /// Runs a step that uses keys of this engine outside of these, such as dh_online(): an abort
  /// of class F_p cheat in it ends the engine and wipes its keys (tls-in-mpc.md §0.3(10)). Throws
  /// kRefusedByRule, without the step, when the engine has ended.
  template <typename Step>
  auto guarded(Step step) {
    require_alive();
    try {
      return step();
    } catch (const ProtocolAbort& abort) {
      if (abort.abort_class() == AbortClass::kFpCheat) destroy();
      throw;
    }
  }
  /// No token can be made any more; tokens that exist must not be used.
  void destroy();

 private:
  void require_alive() const;

  struct State;
  std::unique_ptr<State> state_;
};

/// What the caller has to do in the middle of dh_online.
struct DhHooks {
  /// Records durably that the token is used; called before anything is sent. Required.
  std::function<void(const Token&)> mark_used;
  /// Agreement A1 (§3.3) holds: all members saw the same view and the same Z_i. Called right
  /// before this member's share of the opening leaves. May throw. Optional.
  std::function<void()> agreed;
};

/// The online part of ECDHE (tls-in-mpc.md §2.4, §2.9): two openings, no multiplication.
///
/// In       token consumed: a second call throws ProtocolAbort(kRefusedByRule), also after an abort
///          server_share, checked here again; csid: scope of the connection; view: hash of
///          everything public that this member saw of the connection so far
/// Out      c = x(P) + sum rho_i mod p, bits LSB first, one byte (0/1) each, public
/// Throws   ProtocolAbort: kViewMismatch (network), kFpKeyShare (bad point of a member), kFpMac,
///          kServer (bad share, or the exceptional case delta = 0, probability 2^-250)
/// Secure   Z_i, delta and c are uniform; x is the coordinate of P + D for a D known to the
///          corrupted members (Theorem 1 of §2.6), and never D != 0 in an accepted handshake
/// Rounds   n = 2: party 1 sends Z, party 0 answers with Z and its opening, party 1 opens. n > 2:
///          Z, echo, openings.
std::vector<uint8_t> dh_online(net::Party& party, Token& token, ByteView server_share,
                               const Digest& csid, const Digest& view, const DhHooks& hooks);

}  // namespace flexroom::arith

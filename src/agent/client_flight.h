#pragma once

#include <memory>

#include "agent/context.h"
#include "agent/views.h"
#include "circuits/handshake.h"

namespace flexroom::agent {

/// The client's flight to a service that asked for a certificate (tls-complete.md §4.2):
/// Certificate without certificates and Finished in one record, made with c_hs inside. GC-CF is
/// prepared beside GC-B of every connection with `client_auth = "none"`, and runs in the flows of
/// GC-B where the request came; where none came no label of it leaves. Suite::client_flight of
/// suite.h makes it.
///
/// Order      circuit(), then hold() it; mark(), inputs(), take() when it ran; tag_share() once
/// Setting    n members, up to n-1 malicious; all call with equal public arguments
/// Guarantee  c_hs is opened to nobody. One tag for the one record of generation "hs": its share
///            goes in the message of the shares of the request's tags (A3), with them or not at all
/// Cost       264 165 ANDs with AES-128, 652 366 with AES-256; with ChaCha20 258 452 (n = 2) and
///            259 n + 125 of the tag's circuit
class ClientFlight {
 public:
  virtual ~ClientFlight() = default;
  /// GC-CF of a suite, and the hash of that.
  ClientFlight(std::shared_ptr<const mpc::Program> program, const tls::HashKind& hash)
      : program_(std::move(program)), hash_kind_(hash) {}
  ClientFlight(const ClientFlight&) = delete;
  ClientFlight& operator=(const ClientFlight&) = delete;

  /// GC-CF, once, to be garbled behind GC-B and for its evaluator.
  boolean::Preparation circuit();
  void hold(std::unique_ptr<boolean::Instance> gc_cf) { instance_ = std::move(gc_cf); }
  boolean::Instance& instance() { return *instance_; }
  uint64_t num_ands() const { return program_->num_ands(); }  // of GC-CF

  /// Before a label or share from which a bit of the record follows: its place is this request's
  /// for ever, also after an abort. Throws what the journal throws.
  static void mark(Journal& journal, const Digest& csid);
  /// `c_hs` outlives the run. `transcript`: what the Finished covers; `a2`: the view of GC-B.
  boolean::OnlineInputs inputs(const prep::AuthBits& c_hs, const tls::HashValue& transcript,
                               const Views& views, const Digest& a2) const;
  /// The record without its tag, the same at all members.
  RecordText take(boolean::Outputs outputs);
  /// This member's share of the tag of the record that take() gave. A second time throws
  /// ProtocolAbort(kRefusedByRule).
  prep::AuthField tag_share(const RecordText& record);

 protected:
  virtual void give_masks(const mpc::Program& program, std::vector<prep::AuthBits>& zero) = 0;
  /// The name of the ciphertext's output.
  virtual std::string_view ciphertext() const = 0;
  virtual void take_tag_key(const mpc::Program& program, boolean::Outputs& outputs) = 0;
  virtual prep::AuthField compute_tag(const RecordText& record) = 0;

 private:
  enum class State : uint8_t { kPrepared, kMade, kTagged };

  std::shared_ptr<const mpc::Program> program_;
  const tls::HashKind& hash_kind_;
  std::unique_ptr<boolean::Instance> instance_;
  State state_ = State::kPrepared;
};

/// AES-GCM: five powers of R, six with SHA-384; the share of the tag is local.
std::shared_ptr<const mpc::Program> client_flight_program(
    const circuits::GcmSuite& suite = circuits::aes128_gcm());
std::unique_ptr<ClientFlight> make_gcm_client_flight(
    const Context& context, const circuits::GcmSuite& suite = circuits::aes128_gcm());
double gcm_client_flight_tag_bytes(const circuits::GcmSuite& suite = circuits::aes128_gcm());
/// TLS_CHACHA20_POLY1305_SHA256: a Poly1305Tag, whose last step gives the share.
std::shared_ptr<const mpc::Program> chacha_client_flight_program(size_t num_members);
std::unique_ptr<ClientFlight> make_chacha_client_flight(const Context& context);
double chacha_client_flight_tag_bytes();

}  // namespace flexroom::agent

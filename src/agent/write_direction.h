#pragma once

#include <memory>
#include <span>
#include <vector>

#include "agent/connection_circuits.h"
#include "agent/context.h"
#include "agent/views.h"

namespace flexroom::agent {

/// The members' half of the client's sending direction: keys that nobody has, and the shares of the
/// tags. Which cipher suite it is, only the implementation knows; Suite::write_direction of suite.h
/// makes it.
///
/// Order      bind() while the request circuit is prepared; mark(), then take() when it ran; then
///            tag_share() once. For a later request of the connection (§4.9): advance(), mark(),
///            keys_for() its circuit, take(), tag_share()
/// Guarantee  a position is marked durably before anything follows from its keystream, and gives at
///            most one tag (tls-in-mpc.md §4.1)
class WriteDirection {
 public:
  virtual ~WriteDirection() = default;
  WriteDirection() = default;
  WriteDirection(const WriteDirection&) = delete;
  WriteDirection& operator=(const WriteDirection&) = delete;

  /// Fills in the `zero` inputs that the request circuit has for the tag.
  virtual void bind(const mpc::Program& program, std::vector<prep::AuthBits>& zero) = 0;
  /// Takes the keys and masks that the circuit of the record at position() kept.
  virtual void take(const mpc::Program& program, boolean::Outputs& outputs) = 0;
  /// The `dyn` inputs that a later request's circuit has for the keys.
  virtual void keys_for(const mpc::Program& program, boolean::OnlineInputs& inputs) const = 0;
  /// This member's share of the tag of the record at position().
  virtual prep::AuthField tag_share(ByteView header, ByteView ciphertext) = 0;
  virtual void erase() = 0;

  const RecordPosition& position() const { return position_; }
  /// Before a label, Lambda or share from which a bit of the ciphertext follows: this position
  /// belongs to this request for ever, also after an abort.
  void mark(Journal& journal, const Digest& csid) const;
  /// To the next record: a position is never come back to.
  void advance() { ++position_.sequence; }

 private:
  RecordPosition position_;
};

/// TLS_AES_128_GCM_SHA256: GHASH under powers of R (§4.4), one power a block of the longest record.
std::unique_ptr<WriteDirection> make_gcm_write_direction(const Context& context,
                                                         std::span<const RequestPlan> plans);
/// TLS_CHACHA20_POLY1305_SHA256: a Poly1305Tag (§4.7). tag_share() is interactive: its openings are
/// masked, and its last step gives shares as for GCM.
/// Of one request a connection.
std::unique_ptr<WriteDirection> make_chacha_write_direction(const Context& context,
                                                            std::span<const RequestPlan> plans);

}  // namespace flexroom::agent

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
///            tag_shares() once. For a later request of the connection (§4.9): advance(), mark(),
///            keys_for() its circuit, take(), tag_shares()
/// Guarantee  a position is marked durably before anything follows from its keystream, and gives at
///            most one tag (tls-in-mpc.md §4.1). A request of several records has them from
///            position() on, and the shares of all their tags at once (§4.3)
class WriteDirection {
 public:
  virtual ~WriteDirection() = default;
  WriteDirection() = default;
  WriteDirection(const WriteDirection&) = delete;
  WriteDirection& operator=(const WriteDirection&) = delete;

  /// Makes what the tags of a request take that is laid out behind the others (§4.9).
  virtual void prepare_next(const RequestPlan& plan) = 0;
  /// Fills in the `zero` inputs that the circuit of the records from `sequence` on has for their
  /// tags.
  virtual void bind(const mpc::Program& program, uint64_t sequence, size_t records,
                    std::vector<prep::AuthBits>& zero) = 0;
  /// Takes the keys and masks that the circuit of the records from position() on kept.
  virtual void take(const mpc::Program& program, boolean::Outputs& outputs, size_t records) = 0;
  /// The `dyn` inputs that a later request's circuit has for the keys.
  virtual void keys_for(const mpc::Program& program, boolean::OnlineInputs& inputs) const = 0;
  /// This member's shares of the tags of the records from position() on: all of a request.
  virtual prep::AuthField tag_shares(std::span<const RecordText> records) = 0;
  virtual void erase() = 0;

  const RecordPosition& position() const { return position_; }
  /// Before a label, Lambda or share from which a bit of the ciphertext follows: these positions
  /// belong to this request for ever, also after an abort.
  void mark(Journal& journal, const Digest& csid, size_t records) const;
  /// Past the records of a request: a position is never come back to.
  void advance(size_t records) { position_.sequence += records; }

 private:
  RecordPosition position_;
};

/// TLS_AES_128_GCM_SHA256: GHASH under powers of R (§4.4), one power a block of the longest record,
/// be it of `plans` or of a request of `longest_to_come` bytes that is laid out later.
std::unique_ptr<WriteDirection> make_gcm_write_direction(const Context& context,
                                                         std::span<const RequestPlan> plans,
                                                         size_t longest_to_come);
/// TLS_CHACHA20_POLY1305_SHA256: a Poly1305Tag a record (§4.7). tag_shares() is interactive: its
/// openings are masked, and its last step gives shares as for GCM.
std::unique_ptr<WriteDirection> make_chacha_write_direction(const Context& context,
                                                            std::span<const RequestPlan> plans,
                                                            size_t longest_to_come);

}  // namespace flexroom::agent

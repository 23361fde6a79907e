#include "session/epoch_agreement.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/codec.h"
#include "base/prg.h"
#include "base/read_array.h"

namespace flexroom::session {
namespace {

// They go with the epoch that they are bound to: while it is whole, they are turned into rows.
void require_no_secrets_of_before(MemberState& state) {
  const std::vector<store::RecordMeta> left = state.secrets_of_before();
  if (left.empty()) return;
  throw ProtocolAbort(
      AbortCode::kRefusedByRule, "epoch",
      fmt::format("'{}' is stored in the form of an earlier version and would be lost with this "
                  "epoch, which is not burned: run `flexroom init` at all members first, which "
                  "turns it into rows (`flexroom secret refresh` where too many batches ended "
                  "without a verdict)",
                  left.front().name));
}

}  // namespace

Founding agree_on_room(net::Party& party, MemberState& state) {
  constexpr std::string_view kLabel = "session/room";
  Digest nonce{};
  Prg::from_system().fill(nonce);
  const store::MemberId& own = state.mids()[party.id()];
  const std::vector<Bytes> all =
      party.exchange(kLabel, Writer().raw(state.rid_or_none()).raw(nonce).raw(own).bytes());
  party.echo(kLabel, AbortCode::kDisagreement);
  Founding out;
  std::vector<Digest> nonces;
  for (PartyId j = 0; j < all.size(); ++j) {
    Reader in(all[j], kLabel, j);
    const Digest rid = in.digest();
    nonces.push_back(in.digest());
    const auto& mid = out.mids.emplace_back(read_array<sizeof(store::MemberId)>(in));
    in.finish();
    if (rid != store::RoomId{}) {
      if (out.rid == store::RoomId{}) out.rid = rid;
      if (rid != out.rid) {
        throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                            "knows another room of this name (a state.db of another time?); bring "
                            "back the newest state.db there, or here, or give this room another "
                            "name in room.toml at all members",
                            j);
      }
    }
    const bool again = std::count(out.mids.begin(), out.mids.end(), mid) > 1;
    // What it did in other rooms, or under another certificate, is counted with its id.
    if (again || (state.founded() ? mid != state.mids()[j] : !state.member_fits(j, mid))) {
      throw ProtocolAbort(AbortCode::kDisagreement, kLabel,
                          "claims another member id than it has here; bring back its newest "
                          "state.db, or let it make a new identity",
                          j);
    }
  }
  if (out.rid == store::RoomId{}) out.rid = store::new_room_id(nonces);
  return out;
}

void agree_on_epoch(net::Party& party, MemberState& state, const std::optional<Digest>& epoch,
                    bool new_epoch) {
  const bool burned = epoch && state.once().counters().burned;
  const auto said = [&](bool is_burned) {
    return Writer()
        .u8(new_epoch ? 1 : 0)
        .raw(epoch ? ByteView(*epoch) : ByteView(Digest{}))
        .u8(is_burned ? 1 : 0)
        .take();
  };
  std::vector<Bytes> all = party.exchange("session/epoch", said(burned));
  party.echo("session/epoch", AbortCode::kDisagreement);
  if (epoch && new_epoch &&
      std::all_of(all.begin(), all.end(), [&](const Bytes& b) { return b == said(false); })) {
    require_no_secrets_of_before(state);
  }
  for (Bytes& bytes : all) bytes.back() = 0;  // one burned epoch is burned for all
  const Bytes own = said(false);
  for (const PartyId j : party.peers()) {
    const bool asks = all[j][0] != 0;
    // Which epoch was theirs does not matter to members that all want a new one.
    if (all[j] == own || (asks && new_epoch)) continue;
    if (asks != new_epoch) {
      throw ProtocolAbort(AbortCode::kDisagreement, "epoch",
                          "not all members ask for a new epoch: run `flexroom init` with "
                          "--new-epoch at all of them, or at none",
                          j);
    }
    const bool has_one =
        !std::all_of(all[j].begin() + 1, all[j].end(), [](uint8_t b) { return b == 0; });
    // Which of the two is older this member cannot know; once.db of the other may.
    throw ProtocolAbort(
        AbortCode::kDisagreement, "epoch",
        fmt::format("{} the epoch that {}: `init --new-epoch` was cut (run it again at all "
                    "members: no secret is lost), or a state.db there or here is not the newest. "
                    "Put the newest one back; only if it is gone for good, run `flexroom init "
                    "--state-lost` there",
                    has_one ? "is in another epoch than" : "does not have",
                    has_one ? "we are in" : "we have"),
        j);
  }
}

}  // namespace flexroom::session

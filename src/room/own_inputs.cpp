#include "room/own_inputs.h"

#include <fmt/core.h>
#include <sodium.h>

#include <algorithm>
#include <chrono>

#include "agreement/member_statements.h"
#include "base/codec.h"
#include "base/error.h"
#include "call/call_inputs.h"
#include "call/link_check.h"
#include "call/links_text.h"
#include "config/of_proposal.h"
#include "store/row_reader.h"

namespace flexroom::room {
namespace {

constexpr std::string_view kRow = "state.db, an input of this member";
constexpr size_t kMaxValue = size_t{64} << 10;

Bytes row_id(const Digest& proposal, const std::string& slot) {
  return Writer().raw(proposal).field(slot).take();
}

std::array<uint8_t, 16> fresh_nonce() {
  std::array<uint8_t, 16> out;
  randombytes_buf(out.data(), out.size());
  return out;
}

}  // namespace

Digest OwnInput::commitment() const {
  return agreement::input_commitment(slot, nonce, value.reveal());
}

OwnInput input_of_links(session::MemberState& state, std::string_view text, const JobConfig& job) {
  constexpr const char* kPlace = "links.toml";
  const LinksConfig links = parse_links(text, kPlace);
  (void)require_good_links(links, kPlace, std::chrono::minutes(job.deadline_minutes),
                           std::chrono::system_clock::now());
  Prg prg = Prg::from_system();
  const SecretBytes key = OwnLinks::draw_key(prg);
  OwnInput out;
  out.slot = kLinksInput;
  out.nonce = fresh_nonce();
  out.value = SecretBytes(key.size() + text.size());
  const auto rest =
      std::copy(key.reveal().begin(), key.reveal().end(), out.value.writable().begin());
  std::copy(text.begin(), text.end(), rest);
  const PublicLinks shown = OwnLinks(links, kPlace, key.clone()).public_part(state.member().name);
  check_public_links(shown);
  out.public_part = to_bytes(public_links_text(shown));
  if (out.public_part.size() > agreement::kMaxInputBytes || out.value.size() > kMaxValue) {
    throw InputError(kPlace, "has links that are too long for a proposal that waits",
                     "sign them with a user's key: a session token makes links long");
  }
  return out;
}

OwnInput input_of_slot(const session::MemberState& state, const Recipe& recipe,
                       const std::string& slot, std::string_view text) {
  const std::string& self = state.member().name;
  for (const Recipe::Slot& declared : recipe.slots) {
    const http::Slot& one = declared.slot;
    if (one.source != http::SlotSource::kMember || one.name != slot || one.from != self) continue;
    OwnInput out;
    out.slot = slot;
    out.nonce = fresh_nonce();
    out.value = private_value({one.name, one.checked_set(), std::string(to_string(one.char_class)),
                               one.length, declared.fill},
                              text, "input", {"recipe", self});
    return out;
  }
  throw InputError("recipe " + recipe.name, fmt::format("asks {} for no such slot", self),
                   "`flexroom proposal show` names the inputs that are missing");
}

StoredLinks stored_links(const OwnInput& input, const std::string& place) {
  const ByteView value = input.value.reveal();
  if (value.size() < OwnLinks::kKeyBytes) throw InputError(place, "is no member's links");
  return {parse_links(as_text(value.subspan(OwnLinks::kKeyBytes)), place),
          SecretBytes::copy_of(value.first(OwnLinks::kKeyBytes))};
}

OwnInputs::OwnInputs(session::MemberState& state)
    : state_(state), kind_(store::rows_of_room("own input", state.rid())) {}

void OwnInputs::put(const Digest& proposal, const OwnInput& input) {
  state_.db().put(kind_, row_id(proposal, input.slot),
                  Writer().raw(input.nonce).field(input.public_part).take(), input.value.reveal());
}

OwnInput OwnInputs::get(const Digest& proposal, const std::string& slot, const Digest& commitment) {
  auto row = state_.db().get(kind_, row_id(proposal, slot));
  OwnInput out;
  if (row) {
    store::RowReader in(row->meta, kRow);
    out.slot = slot;
    const ByteView nonce = in.raw(out.nonce.size());
    std::copy(nonce.begin(), nonce.end(), out.nonce.begin());
    const ByteView shown = in.field(agreement::kMaxInputBytes);
    out.public_part.assign(shown.begin(), shown.end());
    in.finish();
    out.value = std::move(row->secret);
  }
  if (!row || out.commitment() != commitment) {
    throw InputError("proposal",
                     fmt::format("was given the input `{}` of {}, whose private part is not here",
                                 slot, state_.member().name),
                     "an older state was put back: it has to be proposed again");
  }
  return out;
}

std::vector<Digest> OwnInputs::proposals() {
  std::vector<Digest> out;
  for (const Bytes& id : state_.db().ids(kind_)) {
    out.push_back(store::RowReader(id, kRow).digest());
  }
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void OwnInputs::forget(const Digest& proposal) {
  for (const Bytes& id : state_.db().ids(kind_)) {
    if (store::RowReader(id, kRow).digest() == proposal) state_.db().remove(kind_, id);
  }
  state_.db().scrub();
}

}  // namespace flexroom::room

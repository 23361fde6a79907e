#include "people/tickets.h"

#include <sodium.h>

#include "base/error.h"

namespace flexroom::people {

void Tickets::forget_old() {
  const auto now = clock_();
  std::erase_if(open_, [&](const auto& one) { return one.second.until <= now; });
  if (open_.size() >= kMostOpen) {
    throw InputError("signatures", "too many statements wait for one",
                     "wait ten minutes, or start the program anew");
  }
}

PersonStatement Tickets::issue(PersonStatement st) {
  FLEXROOM_ASSERT(sodium_init() >= 0);
  forget_old();
  randombytes_buf(st.ticket.data(), st.ticket.size());
  const Bytes bytes = st.encode();
  open_[challenge_of(bytes)] = {clock_() + kLife, bytes, ""};
  return st;
}

bool Tickets::is_open(ByteView st) {
  const auto found = open_.find(challenge_of(st));
  return found != open_.end() && !found->second.st.empty() && found->second.until > clock_();
}

bool Tickets::take(ByteView st) {
  const bool open = is_open(st);
  open_.erase(challenge_of(st));
  return open;
}

Digest Tickets::issue_enrolment(const std::string& person) {
  FLEXROOM_ASSERT(sodium_init() >= 0 && !person.empty());
  forget_old();
  Digest challenge{};
  randombytes_buf(challenge.data(), challenge.size());
  open_[challenge] = {clock_() + kLife, {}, person};
  return challenge;
}

std::string Tickets::take_enrolment(const Digest& challenge) {
  const auto found = open_.find(challenge);
  if (found == open_.end()) return "";
  const Open open = found->second;
  if (open.person.empty()) return "";
  open_.erase(found);
  return open.until > clock_() ? open.person : "";
}

}  // namespace flexroom::people

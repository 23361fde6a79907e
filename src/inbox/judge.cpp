#include "inbox/judge.h"

namespace flexroom::inbox {
namespace {

void set_if(Failures& out, bool failed, Counts why) {
  if (failed) out.set(static_cast<size_t>(why));
}

}  // namespace

Failures fails(const std::optional<GivenApproval>& given, const Asked& asked) {
  Failures out;
  if (!given) {
    out.set(static_cast<size_t>(Counts::kNone));
    return out;
  }
  const agreement::ApproveBody& body = given->body;
  set_if(out, !asked.key || *asked.key != given->key, Counts::kKey);
  set_if(out, body.proposal != asked.complete, Counts::kDigest);
  set_if(out, body.terms != asked.terms, Counts::kTerms);
  set_if(out, body.versions != asked.versions, Counts::kVersions);
  set_if(out, asked.refused || given->number != asked.newest, Counts::kWithdrawn);
  set_if(out, given->incarnation != asked.incarnation, Counts::kIncarnation);
  set_if(out, body.rule_version != asked.rule_version, Counts::kRule);
  set_if(out, asked.now < body.not_before, Counts::kEarly);
  set_if(out, asked.now > body.not_after, Counts::kLate);
  set_if(out, asked.forked, Counts::kFork);
  return out;
}

Counts first_of(const Failures& failures) {
  for (size_t i = 0; i < failures.size(); ++i) {
    if (failures[i]) return static_cast<Counts>(i);
  }
  return Counts::kYes;
}

Stops stops(const OwnMarks& m) {
  Stops out;
  out[static_cast<size_t>(Stop::kClosed)] = m.closed;
  out[static_cast<size_t>(Stop::kConsent)] = !m.consent;
  out[static_cast<size_t>(Stop::kArmed)] = m.armed;
  out[static_cast<size_t>(Stop::kCount)] = m.used >= m.times;
  out[static_cast<size_t>(Stop::kIndex)] = !m.allowed;
  out[static_cast<size_t>(Stop::kFloor)] = m.now < m.floor;
  out[static_cast<size_t>(Stop::kWindow)] = m.late;
  return out;
}

std::string_view to_string(Stop stop) {
  switch (stop) {
    case Stop::kClosed:
      return "it was refused, withdrawn or has expired";
    case Stop::kConsent:
      return "this member does not approve it now";
    case Stop::kArmed:
      return "this step, or this run, was armed before";
    case Stop::kCount:
      return "it ran as often as it may";
    case Stop::kIndex:
      return "this is no run that it has now";
    case Stop::kFloor:
      return "the time is before one that this member took part in; people with `administer` may "
             "lower that";
    case Stop::kWindow:
      return "its time is over";
  }
  return "";
}

std::string_view to_string(State state) {
  static constexpr std::string_view kNames[] = {"proposed",  "complete", "ready",  "rejected",
                                                "withdrawn", "expired",  "void",   "running",
                                                "done",      "failed",   "unknown"};
  return kNames[static_cast<size_t>(state)];
}

std::string_view to_string(Counts why) {
  switch (why) {
    case Counts::kYes:
      return "approved";
    case Counts::kNone:
      return "has not approved";
    case Counts::kKey:
      return "approved with a key that is not its own now";
    case Counts::kDigest:
      return "approved another proposal";
    case Counts::kTerms:
      return "approved under other terms of the room";
    case Counts::kVersions:
      return "approved with other versions of the secrets";
    case Counts::kWithdrawn:
      return "took its approval back, or said no";
    case Counts::kIncarnation:
      return "lost its state after it approved";
    case Counts::kRule:
      return "approved under an older version of its rule";
    case Counts::kEarly:
      return "approved for later";
    case Counts::kLate:
      return "approved until a time that is over";
    case Counts::kFork:
      return "signed two statements with one number";
  }
  return "";
}

}  // namespace flexroom::inbox

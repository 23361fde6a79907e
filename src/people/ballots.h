#pragma once

#include <string>
#include <vector>

#include "people/person_statement.h"
#include "people/voice.h"
#include "store/once_db.h"

namespace flexroom::people {

/// Voices that came and are not enough yet, by what they are about: people of one member sign on
/// different days. In once.db: a state.db put back does not bring a voice back (M29).
///
/// Guarantee  put() is durable when it returns; one voice a person and matter
/// Threads    none: the caller's lock
class Ballots {
 public:
  static constexpr size_t kMostOpen = 4096;
  Ballots(store::OnceDb& once, const Digest& room);

  /// A voice that Desk::accept() took, or that a pending change names. Throws InputError when too
  /// many matters wait.
  void put(const PersonStatement& matter, const Voice& voice);
  std::vector<Voice> of(const PersonStatement& matter);
  void drop(const PersonStatement& matter);
  /// Without that person's. False: there was none.
  bool take_back(const PersonStatement& matter, const std::string& person);
  /// Drops what can count no more: its window is over, or the rule is another one.
  void prune(uint64_t now, uint32_t rule_version);

 private:
  void write(const Digest& id, const std::vector<Voice>& voices);
  std::vector<Voice> read(ByteView id);
  store::SealedDb& rows_;
  const std::string kind_;
};

/// The voices that hold under `rule`, counted; those that do not are taken out of `all`. `parties`
/// as in verify_voice().
Tally counted(const Rule& rule, const PersonStatement& matter, const std::string& proposer,
              std::vector<Voice>& all, const std::vector<RelyingParty>& parties);

}  // namespace flexroom::people

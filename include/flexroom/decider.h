#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flexroom {

/// What all members propose alike, as it is shown, hashed, signed and stored.
struct Summary {
  struct Field {
    std::string section;      // "Request", "Links" ...; empty at the beginning
    std::string name;         // a name may stand twice: two purposes of one secret
    std::string value;        // as it is shown: printable; empty if private
    bool is_private = false;  // entered as its commitment
  };
  std::string command;        // "call", "run-script (lean)", ...
  std::string title;          // which: the recipe's, job's or secret's name, the URL
  std::vector<Field> fields;  // in the order that is signed
  std::string digest;         // hexadecimal; the same at every member
  /// All of it as lines for a person, made of the bytes that are signed; the log prints it again.
  std::string text;
  /// What changed since the last one of its kind and title that all approved; empty if nothing did.
  /// Nothing: there was none.
  std::optional<std::string> since;
  /// What is new in every run by its nature and so no change in `since`: "client token", "sealed
  /// links" ..; empty if nothing is, to the letter.
  std::vector<std::string> new_each_run;
};

/// One step of a work, and how far it is.
struct Progress {
  std::string phase;
  std::optional<double> share;         // of the whole work that is expected, 0 to 1
  std::optional<double> seconds_left;  // nothing where it hangs on somebody else
};

/// Where the seconds and bytes of an operation went, phase by phase.
struct Phase {
  std::string name;
  double start_seconds = 0;
  double seconds = 0;
  uint64_t bytes_sent = 0;
  uint64_t half_rounds = 0;
  uint64_t ands = 0;
};

/// A question to this member's person, which no other member sees. What becomes of the answer is
/// said in the text.
struct Question {
  enum class Kind {
    kYesNo,
    kText,
    kConsent,  // as kYesNo, to something that follows and cannot be undone: nobody answers it who
               // only approves by a rule
  };
  Kind kind = Kind::kYesNo;
  std::string text;
  /// What is answered later counts as no answer; nothing: there is time.
  std::optional<std::chrono::seconds> within = std::nullopt;
  /// The answer is this member's secret: it is not shown while it is typed.
  bool is_secret = false;
  /// What is shown beside the text, whole and as a service sent it, by name: for programs. In the
  /// text a picture is the file that holds it while the question stands.
  std::map<std::string, std::string> shown = {};
};

/// Signatures of a member's people on what approve_by_people() shows, of a member that has people
/// (`flexroom people init`, docs/people.md): the approval is theirs and nobody else's. Requests and
/// signatures are texts that go through files, to persons' own machines and back (docs/people.md).
class PeopleVoices {
 public:
  PeopleVoices() = default;
  PeopleVoices(const PeopleVoices&) = delete;
  PeopleVoices& operator=(const PeopleVoices&) = delete;
  virtual ~PeopleVoices() = default;

  /// How many more it takes.
  virtual size_t needed() const = 0;
  /// Who may still sign.
  virtual std::vector<std::string> missing() const = 0;
  /// Whose key it is (hexadecimal: of a key file its public key); empty: nobody's.
  virtual std::string person_with(const std::string& key_id) const = 0;
  /// What that person signs, for one view: good for ten minutes, once.
  virtual std::string request(const std::string& person) = 0;
  /// A signature on one of the requests. Throws Error with the check that it did not pass; then it
  /// counts as never given.
  virtual void add(const std::string& signature) = 0;
};

/// The person or program that speaks for one member: everything that a member decides goes through
/// here, whether a terminal, a page or a rule answers.
///
/// Guarantee  approve() is asked only when all members' proposals have the same digest; what it saw
///            is what this member signs; the approval of all members is on disk before anything
///            that follows from it happens
/// Threads    called by the thread that runs the operation; one call at a time
/// Errors     an exception ends the operation as a failure of this member: nothing is signed
class Decider {
 public:
  enum class Answer {
    kYes,
    kNo,      // refused: the others are told, and it stands in the log
    kNotNow,  // nobody is there to decide: ends like a refusal, at once; nobody waits for a person
  };
  Decider() = default;
  Decider(const Decider&) = delete;
  Decider& operator=(const Decider&) = delete;
  virtual ~Decider() = default;

  /// Before anybody is connected to, for an operation that will ask. Throws Error if nobody could
  /// answer here, so that the others do not wait for nothing.
  virtual void require_ready() {}
  virtual Answer approve(const Summary& summary) = 0;
  /// In place of approve() where member.toml says auto_approve.
  virtual void approved_by_rule(const Summary& summary) { (void)summary; }
  /// In place of both where the member has people: yes only counts with enough of their signatures
  /// in `voices`.
  virtual Answer approve_by_people(const Summary& summary, PeopleVoices& voices) {
    (void)summary;
    (void)voices;
    return Answer::kNotNow;
  }
  /// "yes" or "no" to a kYesNo or kConsent question, else the text. Nothing: not now, or not in
  /// time.
  virtual std::optional<std::string> human_input(const Question& question) = 0;

  virtual void progress(const Progress& progress) { (void)progress; }
  /// One sentence worth telling: whom we wait for, what the log could not hold.
  virtual void note(std::string_view text) { (void)text; }
  /// A value of an answer that was opened to this member alone, as soon as it is: it is stored
  /// nowhere and told once.
  virtual void opened_to_us(std::string_view name, std::string_view value) {
    (void)name;
    (void)value;
  }
  /// At the end of an operation that called a service.
  virtual void timeline(const std::vector<Phase>& phases) { (void)phases; }
};

}  // namespace flexroom

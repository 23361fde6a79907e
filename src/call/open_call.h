#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "call/action.h"
#include "call/purpose.h"
#include "call/recipe.h"
#include "config/config.h"
#include "http/sigv4.h"
#include "http/url.h"
#include "store/secret_store.h"

namespace flexroom {

/// A slot of a call and where it stands.
struct CallSlot {
  http::Slot slot;
  size_t offset = 0;       // of the first byte of the request that depends on it
  size_t end = 0;          // behind the last one
  bool in_base64 = false;  // part of a http::Base64Text
  SlotPosition position;   //
  bool echo_ok = false;    // its owner lets the answer repeat it
  bool next_code = false;  // kTotp: of the step behind the agreed one
};

/// Base64 text of a call and where it stands.
struct CallBase64 {
  http::Base64Text text;
  size_t offset = 0;
};

/// Where a request carries the time at which it is made: the 16 bytes of an X-Amz-Date, or the
/// eight of its day.
struct CallDate {
  size_t offset = 0;
  uint32_t bytes = 0;
};

/// A request that is complete but for its slots, validated and judged: of a recipe with its
/// arguments, of run-script, of get. There is no other way to a service.
struct OpenCall {
  http::Template request;
  http::RequestModel model;  // what every rule judges
  CallAction action;
  std::string provider;
  std::optional<Recipe::Sign> sign;
  std::string method;
  size_t bytes = 0;
  size_t body_start = 0;
  std::optional<size_t> signature_offset;
  std::optional<http::SigV4Plan> signing;
  std::vector<CallSlot> slots;  // all but the signature, ascending
  std::vector<CallBase64> base64;
  std::vector<CallDate> dates;           // ascending
  std::optional<size_t> hidden_body_at;  // the signed hash of the body from here is opened
  /// What is signed is secret: the signature is made inside, before the connection (§6.2).
  bool signs_secrets = false;
  std::string address;  // "POST https://host/path"
  Bytes text() const;   // zeros in place of slots
  /// Neither a secret nor a private value nor a signature (R2-6).
  bool has_no_secret() const { return !sign && slots.empty(); }
};

struct CallTerms {
  std::string place;     // "recipe NAME", for messages
  std::string provider;  //
  std::optional<Recipe::Sign> sign;
  std::set<std::string> echo_ok;  // slots that an answer may repeat
  bool sealed = false;            // nobody reads the answer
  http::ScriptSource script = http::ScriptSource::kRecipe;
};
/// The one road from a template to a call. Throws InputError.
///
/// Open mode is for answers without secrets (tls-in-mpc.md §4.6, R2-3): of AWS, a request with
/// slots (a signature is one) may make only the actions of is_open_action(). It is signed for the
/// service and region of its host, has no slot in its head but the signature, and slots in its body
/// only behind a nonce in or before the first secret block (§6.2). With a sealed answer any action
/// may be made, and slots stand in the head and the body of a signed request: then no hash of them
/// is opened.
OpenCall make_call(http::Template request, const CallTerms& terms);
/// The two dates of a request, and what stands for them while their places are looked for.
struct CallDates {
  std::string time, day;
  static CallDates of(const std::string& date_time) { return {date_time, date_time.substr(0, 8)}; }
  static CallDates marks();
};
/// The places of the dates, from the same request with marks in place of them.
std::vector<CallDate> places_of_dates(const http::Template& request, const http::Template& marked);
/// The slot of a SigV4 signature, `{{signature}}`.
http::Slot signature_slot();

/// `given` NAME=VALUE; `date_time` as X-Amz-Date. Dates stand in the header lines of a signed
/// request alone (tls-in-mpc.md §5.2). Throws InputError.
OpenCall fill_recipe(const Recipe& recipe, const std::map<std::string, std::string>& given,
                     const std::string& date_time);
/// A GET of a public URL. Throws InputError.
OpenCall get_call(const http::Url& url, const std::string& provider);

/// R2-3: every slot stands where the provider's open_calls say that no answer repeats it, or its
/// owner lets it be repeated. Throws InputError.
void check_open_call(const OpenCall& call, const Provider& provider);

/// §5.1: the secret belongs to the provider of the call, has the slot's length, a class inside the
/// slot's, and a purpose that is this call and position. Throws InputError.
void check_secret_slot(const OpenCall& call, const CallSlot& slot, const store::RecordMeta& secret);

/// The secrets of a call, by the slot that they fill.
struct CallSecrets {
  std::map<std::string, store::RecordMeta> slots;
  std::optional<store::RecordMeta> signing;
};
/// Everything that this member's own rules say of a call: the provider serves its host, the slots
/// are members' of the room, and all of the above. `secret` finds a stored secret by its name.
/// Throws InputError.
CallSecrets check_rules(const OpenCall& call, const RoomConfig& room,
                        const std::function<store::RecordMeta(const std::string&)>& secret);

}  // namespace flexroom

#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "call/make_links.h"
#include "cli/output.h"
#include "flexroom/onboarding.h"
#include "flexroom/session.h"
#include "net/party.h"
#include "session/secret_split.h"

namespace flexroom::cli {

/// What every command that talks to the other members takes.
struct Common {
  std::filesystem::path member_file;
  bool yes = false;
  bool knows = false;  // --i-know: the answer to what a flow's file wants to be known
  bool diff = false;   // beside the summary, what changed since it was last approved
  /// Where this member has people: their key files, to sign here; a folder for requests and
  /// signatures, to sign elsewhere; where a sealed key file's passphrase comes from (empty: asked).
  std::vector<std::filesystem::path> sign_with;
  std::filesystem::path voices;
  std::string key_passphrase;
  std::optional<std::filesystem::path> trace;  // a file to write every message's digest to
  // For tests, which run commands in processes of their own and watch, alter or end them:
  std::function<void(std::string_view step)> fault;  // as in session::MemberState
  std::function<void(net::Party&)> connected;        // all members are there, nothing was sent
  std::function<int64_t()> clock;                    // as in room::Hooks
};

/// `passphrase`: where state.db's passphrase comes from (PassphraseSource); empty: a key file.
int init_identity(Output& out, const std::string& name, const std::filesystem::path& directory,
                  const std::string& address, const std::string& passphrase);
/// Another passphrase for state.db, or its first one.
int change_passphrase(Output& out, const Common& common, const std::string& source);
/// `words`: NAME=WORDS as this member's person heard them; of a room of two the words alone.
int init_room(Output& out, const Common& common, bool new_epoch,
              const std::vector<std::string>& words = {});
/// This member's newest state.db is gone for good (session::give_up_state).
int init_after_loss(Output& out, const Common& common);
int peer_accept(Output& out, const Common& common);
/// `room change`: who is in the room (members.md §2).
int room_change(Output& out, const Common& common, const RoomChangeRequest& request);
int secret_import(Output& out, const Common& common, const std::filesystem::path& file);
int secret_draw(Output& out, const Common& common, const std::filesystem::path& file);
int secret_list(Output& out, const Common& common);
int secret_show(Output& out, const Common& common, const std::string& name);
int secret_refresh(Output& out, const Common& common);
int secret_remove(Output& out, const Common& common, const std::string& name);
int run_script(Output& out, const Common& common, const RunScriptRequest& request, bool follow);
int plan_job(Output& out, const Common& common, const RunScriptRequest& request);
/// The last words of a flow, or of run-script --classic --abandon.
int show_flow_end(Output& out, const FlowEnd& end, bool abandoned);
int plan_recipe(Output& out, const Common& common, const std::filesystem::path& file,
                const std::map<std::string, std::string>& arguments);
/// Of a file with [flow]: `plan` of all its steps; nobody is contacted.
bool is_flow_file(const std::filesystem::path& file);
int plan_flow(Output& out, const Common& common, const std::filesystem::path& file,
              const std::map<std::string, std::string>& arguments);
/// Runs a flow with all members. `go_on`, `abandon`: a run's id, or empty. `key`: for signed steps,
/// if it is not the flow's own.
int run_flow(Output& out, const Common& common, const std::filesystem::path& file,
             const std::map<std::string, std::string>& arguments, const std::string& go_on,
             const std::string& abandon, const FlowKey& key = {},
             const std::optional<std::filesystem::path>& inputs = std::nullopt);

/// What a shipped flow is run with.
struct ShippedFlow {
  std::string name;  // its file in room/shipped_flows.h, without .toml
  std::map<std::string, std::string> arguments;
  std::string go_on, abandon;
  std::optional<std::filesystem::path> inputs;
};
/// `create-account --buy-card` (operations.md (f)): the private values of the purchase.
struct CardPurchase {
  std::optional<std::filesystem::path> inputs;
};
/// `create-account` (operations.md (d)), whose file wants it known that the account is lost with
/// any member that is gone for good: without `knows` it is refused before anything is contacted
/// (members.md 1.4). `card`: first a prepaid card is bought with the payer's own, unless the room
/// has one; it pays then.
int create_account(Output& out, const Common& common, const ShippedFlow& given,
                   const std::optional<CardPurchase>& card = std::nullopt);
/// `create-session`: signs in and keeps a new key, proved, in the place of the one before.
int create_session(Output& out, const Common& common, const ShippedFlow& given);
/// Every rule of a flow file or recipe; with member.toml also what the room says of its provider.
int recipe_check(Output& out, const Common& common, const std::filesystem::path& file);
/// A first draft of a flow file, made of a recorded request and answer.
int recipe_new(Output& out, const std::filesystem::path& capture, const std::string& name,
               const std::string& provider, const std::vector<std::string>& show);
int recipe_schema(Output& out);
/// `name`: one of config::kSchemaFiles, or "flow".
int file_schema(Output& out, const std::string& name);
int get_url(Output& out, const Common& common, const std::string& url, const std::string& provider);
int call_recipe(Output& out, const Common& common, const std::filesystem::path& file,
                const std::map<std::string, std::string>& arguments,
                const std::optional<std::filesystem::path>& inputs);
int show_log(Output& out, const Common& common, bool verify);
/// One entry in full: of an approval the text that was approved.
int show_log_entry(Output& out, const Common& common, uint64_t number);
/// One line of JSON an entry, for an auditor (docs/log-format.md); also without --json.
int export_log(Output& out, const Common& common, bool evidence = false);
int status(Output& out, const Common& common);
/// "8h", "30min", "90s", "14d". Throws InputError at `option`.
std::chrono::seconds seconds_of(const std::string& option, const std::string& text);

/// What is not given is asked for.
int room_new(Output& out, NewRoom options);
int room_invite(Output& out, const Common& common, const std::string& lasts);
int room_join(Output& out, const Common& common, JoinRoom options);
int room_add(Output& out, const Common& common, const std::filesystem::path& reply);
int room_seal(Output& out, const Common& common);
int room_finish(Output& out, const Common& common, const std::filesystem::path& sealed);
/// This member's words, and whose are still to be compared; with `words` (as of init_room) compares
/// them.
int room_words(Output& out, const Common& common, const std::vector<std::string>& words);
/// Compares what is given and asks for the rest. Throws Exit::kRefused where words do not fit, or
/// nobody answers: no room is set up with members whose words were not compared (members.md 1.1).
void require_words(Output& out, const Common& common, const std::vector<std::string>& words);
/// links.toml, signed with the member's own key of the environment.
int links_make(Output& out, LinksToMake links, const std::string& lasts);
/// `descriptor`: the value is read from it to its end; at a terminal one line without echo.
int secret_split(Output& out, session::SplitOptions options, const std::filesystem::path& room,
                 int descriptor);
/// `time`: "8h", "30min", "90s".
int cover(Output& out, const Common& common, const std::string& time);
/// Everything that a joint command needs, looked at; kBadInput if something is wrong.
int doctor(Output& out, const Common& common, const std::filesystem::path& job_or_recipe,
           const std::filesystem::path& links, bool with_members = false);
/// Shows the pool; with `fill` first makes triples until so many are in stock.
int stock(Output& out, const Common& common, uint64_t fill);
/// Becomes the sandbox cloud, a program of its own beside this one. Throws if it is not there.
int sandbox(const std::vector<std::string>& arguments, bool json);
/// Our figures beside the published prototype's; of `only`, if it names any. `plot`: a file, or
/// empty.
int bench(Output& out, bool quick, const std::string& plot, const std::vector<std::string>& only);

}  // namespace flexroom::cli

#include "room/call_proposal.h"

#include "call/shown_request.h"

namespace flexroom::room {

agreement::Proposal call_proposal(const RoomConfig& room, const Recipe& recipe,
                                  const OpenCall& call, const CallSecrets& secrets,
                                  const std::string& key) {
  agreement::Proposal out;
  out.kind = "call";
  out.title = recipe.name;
  out.text("room", room.name).text("recipe", recipe.name).bytes("recipe sha256", recipe.digest);
  out.text("provider", recipe.provider).text("action", call.action.text);
  out.text("signed with", !key.empty() ? key : recipe.sign ? recipe.sign->secret : "(nothing)");
  if (call.hidden_body_at) out.text("opened first", "the hash of the body, hidden by a nonce");
  out.text("opened to all", "everything: every member reads the whole answer");
  out.text("kept", "nothing");
  add_request(out, call, secrets);
  return out;
}

agreement::Proposal get_proposal(const RoomConfig& room, const std::string& url,
                                 const OpenCall& call) {
  agreement::Proposal out;
  out.kind = "get";
  out.title = url.substr(0, agreement::Proposal::kMaxTitle);
  out.text("room", room.name).text("url", url).text("provider", call.provider);
  out.text("opened to all", "everything").text("kept", "nothing");
  add_request(out, call, {});
  return out;
}

}  // namespace flexroom::room

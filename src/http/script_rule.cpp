#include "http/script_rule.h"

#include <algorithm>
#include <array>

#include "base/display.h"
#include "base/error.h"
#include "base/host_name.h"

namespace flexroom::http {
namespace {

enum class Code {
  kBase64Script,  // base64 of a script that check_script() passes
  kClosed,        // no slot at all
};

/// `service` is a label of an AWS host ("" for any host); `name` is compared with every part of a
/// parameter's name, letters and digits only, in lower case.
struct CodeParameter {
  std::string_view service, name;
  Code code;
};
constexpr CodeParameter kCodeParameters[] = {
    // RunInstances, RequestSpotInstances, launch templates and configurations, OpenStack and others
    {"", "userdata", Code::kBase64Script},
    {"", "customdata", Code::kClosed},
    {"", "startupscript", Code::kClosed},
    {"", "startupscripturl", Code::kClosed},
    {"", "shutdownscript", Code::kClosed},
    {"", "cloudinit", Code::kClosed},
    {"", "cloudconfig", Code::kClosed},
    // What a machine boots: others' links go to it.
    {"ec2", "imageid", Code::kClosed},
    {"ec2", "kernelid", Code::kClosed},
    {"ec2", "ramdiskid", Code::kClosed},
    {"ec2", "launchtemplate", Code::kClosed},
    {"ec2", "blockdevicemapping", Code::kClosed},
    {"autoscaling", "imageid", Code::kClosed},
    {"autoscaling", "kernelid", Code::kClosed},
    {"autoscaling", "ramdiskid", Code::kClosed},
    {"autoscaling", "launchtemplate", Code::kClosed},
    // SendCommand, CreateAssociation, StartAutomationExecution, CreateDocument
    {"ssm", "commands", Code::kClosed},
    {"ssm", "command", Code::kClosed},
    {"ssm", "parameters", Code::kClosed},
    {"ssm", "content", Code::kClosed},
    {"ssm", "attachments", Code::kClosed},
    {"ssm", "documentname", Code::kClosed},
    {"ssm", "documentversion", Code::kClosed},
    // CreateStack, UpdateStack, CreateChangeSet, CreateStackSet
    {"cloudformation", "templatebody", Code::kClosed},
    {"cloudformation", "templateurl", Code::kClosed},
    {"cloudformation", "parameters", Code::kClosed},
    {"lambda", "zipfile", Code::kClosed},
    {"lambda", "imageuri", Code::kClosed},
    {"lambda", "environment", Code::kClosed},
    {"lambda", "s3bucket", Code::kClosed},
    {"lambda", "s3key", Code::kClosed},
    {"lambda", "s3objectversion", Code::kClosed},
    {"lambda", "layers", Code::kClosed},
    // CreateNotebookInstanceLifecycleConfig, CreateTrainingJob, CreateProcessingJob, CreateModel
    {"sagemaker", "onstart", Code::kClosed},
    {"sagemaker", "oncreate", Code::kClosed},
    {"sagemaker", "content", Code::kClosed},
    {"sagemaker", "studiolifecycleconfigcontent", Code::kClosed},
    {"sagemaker", "algorithmspecification", Code::kClosed},
    {"sagemaker", "appspecification", Code::kClosed},
    {"sagemaker", "ruleevaluatorimage", Code::kClosed},
    {"sagemaker", "image", Code::kClosed},
    {"sagemaker", "modeldataurl", Code::kClosed},
    {"sagemaker", "environment", Code::kClosed},
    {"sagemaker", "hyperparameters", Code::kClosed},
    {"ecs", "containerdefinitions", Code::kClosed},
    {"ecs", "taskdefinition", Code::kClosed},
    {"ecs", "overrides", Code::kClosed},
    {"batch", "containerproperties", Code::kClosed},
    {"batch", "containeroverrides", Code::kClosed},
    {"batch", "jobdefinition", Code::kClosed},
    {"codebuild", "buildspec", Code::kClosed},
    {"codebuild", "buildspecoverride", Code::kClosed},
    {"codebuild", "imageoverride", Code::kClosed},
    {"codebuild", "sourcelocationoverride", Code::kClosed},
    {"states", "definition", Code::kClosed},
};

bool is_aws_label(std::string_view host, std::string_view service) {
  if (host.find(".amazonaws.com") == std::string_view::npos) return false;
  for (size_t at = 0; at <= host.size();) {
    const size_t end = std::min(host.find('.', at), host.size());
    if (host.substr(at, end - at) == service) return true;
    at = end + 1;
  }
  return false;
}

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The parts of "LaunchSpecification.UserData", "/Parameters/commands/0", "user_data[]".
std::vector<std::string> name_parts(std::string_view name) {
  std::vector<std::string> out(1);
  for (const char c : name) {
    if (is_alnum(c)) {
      out.back() += to_lower(std::string_view(&c, 1));
    } else if (c != '_' && c != '-') {
      out.emplace_back();
    }
  }
  return out;
}

const CodeParameter* code_parameter(std::string_view host, std::string_view name) {
  const std::vector<std::string> parts = name_parts(name);
  for (const CodeParameter& row : kCodeParameters) {
    if (!row.service.empty() && !is_aws_label(host, row.service)) continue;
    if (std::find(parts.begin(), parts.end(), row.name) != parts.end()) return &row;
  }
  return nullptr;
}

constexpr char kHole = '\x01';

bool starts_name(char c) { return c >= 'a' && c <= 'z'; }

/// Reads a script line by line. No line with a slot has a meaning that hangs on another line: those
/// of a recipe come before the first command, where no quote, here-document, alias or substitution
/// can be open, and each is one of two forms; the own boot loader has its slots on its last line.
class ScriptLines {
 public:
  ScriptLines(const RequestText& script, std::string_view place) : place_(place) {
    for (const RequestText::Piece& piece : script.pieces) {
      if (!piece.slot) {
        if (piece.text.find(kHole) != std::string::npos) unreadable("it has a control character");
        text_ += piece.text;
        continue;
      }
      if (piece.encoding != Encoding::kNone) {
        fail(*piece.slot, "stands in a script under an encoding");
      }
      slots_.push_back(&*piece.slot);
      text_ += kHole;
    }
  }

  void check(ScriptSource source) {
    if (source == ScriptSource::kOwnScript) return check_own();
    first_line();
    bool commands = false;
    for (size_t at = text_.find('\n'); at < text_.size();) {
      const size_t end = std::min(text_.find('\n', at + 1), text_.size());
      const std::string_view line = std::string_view(text_).substr(at + 1, end - at - 1);
      const auto holes = static_cast<size_t>(std::count(line.begin(), line.end(), kHole));
      const Slot* const slot = holes > 0 ? slots_[judged_] : nullptr;
      if (line.starts_with('#')) {
        in_comment(holes);
      } else if (slot != nullptr) {
        if (commands) fail(*slot, "stands behind the first command of a script");
        in_assignment(line);
      } else if (line.find_first_not_of(' ') != std::string_view::npos) {
        commands = true;
      }
      // Behind a command a '#' may begin no comment: it may stand in a quote.
      if (commands && holes > 0) fail(*slot, "stands behind the first command of a script");
      at = end;
    }
    FLEXROOM_ASSERT(judged_ == slots_.size());
  }

 private:
  [[noreturn]] void fail(const Slot& slot, std::string_view problem) const {
    throw InputError(std::string(place_) + ", slot '" + slot.name + "'", problem,
                     "private text in a script is the end of a URL in a line of its own, "
                     "name='https://public.host/..{{slot}}', class shell-url; such lines stand "
                     "behind #!/bin/sh and before everything else");
  }
  [[noreturn]] void unreadable(std::string_view why) const {
    throw InputError(place_,
                     "a script with private text cannot be read for sure: " + std::string(why),
                     "let it begin with #!/bin/sh or #!/bin/bash");
  }

  void first_line() const {
    constexpr std::array<std::string_view, 4> kShells = {"#!/bin/sh", "#!/bin/bash", "#!/bin/sh -e",
                                                         "#!/bin/bash -e"};
    const std::string_view line = std::string_view(text_).substr(0, text_.find('\n'));
    if (std::find(kShells.begin(), kShells.end(), line) == kShells.end()) {
      unreadable("its first line is not #!/bin/sh or #!/bin/bash");
    }
  }

  /// The slot of the next mark in the text: random ones of class hex, others of class shell-url.
  const Slot& next_slot() {
    const Slot& slot = *slots_[judged_++];
    const bool random = slot.source == SlotSource::kRandom;
    if (!slot.checked_set().subset_of(char_set(random ? CharClass::kHex : CharClass::kShellUrl))) {
      fail(slot, random ? "is random text in a script, but not of class hex"
                        : "stands in a script, but its class is wider than shell-url");
    }
    return slot;
  }

  void in_comment(size_t holes) {
    for (; holes > 0; --holes) {
      const Slot& slot = next_slot();
      if (slot.source != SlotSource::kRandom) fail(slot, "stands in a comment of a script");
    }
  }

  /// `name='https://host/..'` or `name='..'` of hex alone; blanks may follow. Names in lower case:
  /// those of the shell and of its environment are in upper case (PATH, IFS, ENV).
  void in_assignment(std::string_view line) {
    const Slot& first = *slots_[judged_];
    const size_t open = std::min(line.find("='"), line.size());
    const size_t close = line.find('\'', std::min(open + 2, line.size()));
    const std::string_view name = line.substr(0, open);
    const bool named = !name.empty() && starts_name(name.front()) &&
                       std::all_of(name.begin(), name.end(), [](char c) {
                         return starts_name(c) || (c >= '0' && c <= '9') || c == '_';
                       });
    if (close == std::string_view::npos || !named ||
        line.find_first_not_of(' ', close + 1) != std::string_view::npos) {
      fail(first, "stands in a script outside a quoted URL in a line of its own");
    }
    const std::string_view quoted = line.substr(open + 2, close - open - 2);
    size_t private_text = 0;
    for (const char c : quoted) {
      if (c == kHole) {
        private_text += next_slot().source == SlotSource::kRandom ? 0 : 1;
      } else if (!char_set(CharClass::kShellUrl).contains(c)) {
        fail(first, "stands in quotes with characters that no URL has");
      }
    }
    if (private_text > 0 && !behind_public_host(quoted)) {
      fail(first, "stands in quotes, but not behind https://public.host/");
    }
  }

  static bool behind_public_host(std::string_view quoted) {
    constexpr std::string_view kScheme = "https://";
    if (!quoted.starts_with(kScheme)) return false;
    const size_t slash = quoted.find('/', kScheme.size());
    return slash < quoted.find(kHole) &&
           is_host_name(quoted.substr(kScheme.size(), slash - kScheme.size()));
  }

  /// The boot loader of this program: its text up to the last line is ours (and public parts of
  /// links, which check_public_links() judges), the last line calls it with a nonce and words in
  /// single quotes.
  void check_own() {
    FLEXROOM_ASSERT(!slots_.empty());
    const size_t last = text_.find_last_not_of('\n');
    const size_t begin = std::string_view(text_).substr(0, last).rfind('\n') + 1;
    const std::string_view line = std::string_view(text_).substr(begin, last + 1 - begin);
    const auto marks = static_cast<size_t>(std::count(line.begin(), line.end(), kHole));
    if (marks != slots_.size() || !line.starts_with("m \x01 '") || !line.ends_with('\'')) {
      fail(*slots_.front(), "stands in the boot loader outside its call");
    }
    if (next_slot().source != SlotSource::kRandom) {
      fail(*slots_.front(), "is the first word of the boot loader's call, but no nonce");
    }
    // What is left is words of slots alone: '..' '..' '..'
    bool quoted = false;
    for (const char c : line.substr(4)) {
      if (c == '\'') quoted = !quoted;
      if (c != '\'' && c != (quoted ? kHole : ' ')) {
        fail(*slots_.front(), "stands in the boot loader beside other text");
      }
      if (c == kHole) (void)next_slot();
    }
    if (quoted) fail(*slots_.front(), "stands in a quote that does not close");
  }

  std::string_view place_;
  std::string text_;                // kHole for each slot
  std::vector<const Slot*> slots_;  // in the order of their marks
  size_t judged_ = 0;
};

/// Public text beside base64 slots is a script too, by this rule: everywhere in a form or query, in
/// JSON beside a member's slot. ("Basic " and a slot in a header is none; a blob of its own has no
/// text that it could be code in.)
bool looks_like_script(const RequestModel& request, const Parameter& parameter,
                       const std::vector<Parameter>& list) {
  const RequestText& value = parameter.value;
  if (value.in_base64) return true;
  if (&list == &request.headers || value.pieces.size() == 1) return false;
  const bool json = &list == &request.nested ||
                    (&list == &request.body && request.body_kind == RequestModel::Body::kJson);
  return std::any_of(value.pieces.begin(), value.pieces.end(),
                     [&](const RequestText::Piece& piece) {
                       return piece.encoding == Encoding::kBase64 &&
                              (!json || piece.slot->source == SlotSource::kMember);
                     });
}

/// The last part of a name, and what is before it: "/metadata/items/0" of "/metadata/items/0/key".
std::pair<std::string_view, std::string_view> parent_and_last(std::string_view name) {
  const size_t at = name.find_last_of("/.");
  if (at == std::string_view::npos) return {"", name};
  return {name.substr(0, at), name.substr(at + 1)};
}

/// A value may be named by the value beside it: {"key": "user-data", "value": ..}, or
/// Item.1.Name=user-data&Item.1.Value=..
void check_named_beside(const RequestModel& request, const Parameter& parameter,
                        const std::vector<Parameter>& list, const std::string& place) {
  const auto [parent, last] = parent_and_last(parameter.name);
  for (const Parameter& other : list) {
    const auto [beside, naming] = parent_and_last(other.name);
    const std::string word = to_lower(naming);
    if (&other == &parameter || beside != parent || (word != "key" && word != "name")) continue;
    const bool is_value = to_lower(last).starts_with("value");
    if (!other.value.is_public() && is_value) {
      throw InputError(place, "has a private value under a private name",
                       "what the value is for cannot be told, it may be code: make one public");
    }
    if (!other.value.is_public() || code_parameter(request.host, other.value.shown()) == nullptr) {
      continue;
    }
    throw InputError(place,
                     "is named '" + display_short(other.value.shown()) + "' by " + other.name +
                         ": it carries code, and no slot may stand in it",
                     "one member would run code that the others have not seen");
  }
}

void check_parameter(const RequestModel& request, const Parameter& parameter,
                     const std::vector<Parameter>& list, ScriptSource source) {
  const RequestText& value = parameter.value;
  if (value.is_public()) return;
  const std::string place = "request to " + request.host + ", " + parameter.name;
  const CodeParameter* const row = code_parameter(request.host, parameter.name);
  if (row != nullptr && row->code == Code::kClosed) {
    throw InputError(place, "carries code, and no slot may stand in it",
                     "one member would run code that the others have not seen");
  }
  check_named_beside(request, parameter, list, place);
  if (row == nullptr && !looks_like_script(request, parameter, list)) return;
  const auto script = base64_decoded(value);
  if (!script) {
    throw InputError(place,
                     row != nullptr
                         ? "carries a script, and holds something else than base64 of it"
                         : "base64 slots stand in it beside text that is not their base64",
                     "give every slot in it encoding base64 or base64-in-form, and pad the public "
                     "text so that a slot begins and ends at a multiple of three bytes");
  }
  check_script(*script, place, source);
}

}  // namespace

void check_script(const RequestText& script, std::string_view place, ScriptSource source) {
  ScriptLines(script, place).check(source);
}

void check_code_parameters(const RequestModel& request, ScriptSource source) {
  for (const auto* list : {&request.query, &request.headers, &request.body, &request.nested}) {
    for (const Parameter& parameter : *list) {
      check_parameter(request, parameter, *list, source);
    }
  }
  // XML has element names where others have parameter names: what they mean cannot be told here.
  if (!request.opaque || request.opaque->is_public()) return;
  for (const std::string& part : name_parts(request.opaque->shown())) {
    if (part.size() > 64) continue;
    const CodeParameter* const row = code_parameter(request.host, part);
    if (row == nullptr) continue;
    throw InputError(
        "request to " + request.host,
        "has a slot in a body that names '" + std::string(row->name) + "', which carries code",
        "send it as a form, where its parts can be told apart");
  }
}

std::optional<RequestText> program_in(const RequestModel& request, const Parameter& parameter) {
  const CodeParameter* const row = code_parameter(request.host, parameter.name);
  if (row == nullptr || row->code != Code::kBase64Script) return std::nullopt;
  return base64_decoded(parameter.value);
}

}  // namespace flexroom::http

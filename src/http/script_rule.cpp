#include "http/script_rule.h"

#include <algorithm>
#include <array>

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
constexpr std::array<CodeParameter, 30> kCodeParameters = {{
    // RunInstances, RequestSpotInstances, launch templates and configurations, OpenStack and others
    {"", "userdata", Code::kBase64Script},
    {"", "customdata", Code::kClosed},
    {"", "startupscript", Code::kClosed},
    {"", "cloudinit", Code::kClosed},
    {"", "cloudconfig", Code::kClosed},
    // SendCommand, CreateAssociation, StartAutomationExecution, CreateDocument
    {"ssm", "commands", Code::kClosed},
    {"ssm", "command", Code::kClosed},
    {"ssm", "parameters", Code::kClosed},
    {"ssm", "content", Code::kClosed},
    {"ssm", "attachments", Code::kClosed},
    // CreateStack, UpdateStack, CreateChangeSet, CreateStackSet
    {"cloudformation", "templatebody", Code::kClosed},
    {"cloudformation", "templateurl", Code::kClosed},
    {"cloudformation", "parameters", Code::kClosed},
    {"lambda", "zipfile", Code::kClosed},
    {"lambda", "imageuri", Code::kClosed},
    {"lambda", "environment", Code::kClosed},
    // CreateNotebookInstanceLifecycleConfig, CreateTrainingJob, CreateProcessingJob
    {"sagemaker", "onstart", Code::kClosed},
    {"sagemaker", "oncreate", Code::kClosed},
    {"sagemaker", "content", Code::kClosed},
    {"sagemaker", "studiolifecycleconfigcontent", Code::kClosed},
    {"sagemaker", "algorithmspecification", Code::kClosed},
    {"sagemaker", "appspecification", Code::kClosed},
    {"sagemaker", "environment", Code::kClosed},
    {"sagemaker", "hyperparameters", Code::kClosed},
    {"ecs", "containerdefinitions", Code::kClosed},
    {"ecs", "overrides", Code::kClosed},
    {"batch", "containerproperties", Code::kClosed},
    {"batch", "containeroverrides", Code::kClosed},
    {"codebuild", "buildspec", Code::kClosed},
    {"states", "definition", Code::kClosed},
}};

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

/// Reads a script as a shell does, from its beginning, and judges each slot where it stands.
class ShellReader {
 public:
  ShellReader(const RequestText& script, std::string_view place, ScriptSource source)
      : place_(place), own_(source == ScriptSource::kOwnScript) {
    for (const RequestText::Piece& piece : script.pieces) {
      if (!piece.slot) {
        if (piece.text.find(kHole) != std::string::npos) unreadable("it has a control character");
        text_ += piece.text;
        continue;
      }
      if (piece.encoding != Encoding::kNone) {
        fail(&*piece.slot, "stands in a script under an encoding");
      }
      slots_.push_back({text_.size(), &*piece.slot});
      text_ += kHole;
    }
  }

  void check() {
    first_line();
    for (at_ = 0; at_ < text_.size(); ++at_) step();
    if (state_ != State::kPlain || open_.size() != 1) unreadable("its quotes do not all close");
  }

 private:
  enum class State { kPlain, kSingle, kComment };
  struct Placed {
    size_t at;
    const Slot* slot;
  };

  [[noreturn]] void fail(const Slot* slot, std::string_view problem) const {
    throw InputError(std::string(place_) + (slot != nullptr ? ", slot '" + slot->name + "'" : ""),
                     problem,
                     "private text in a script is the rest of a quoted URL: write "
                     "'https://public.host/..{{slot}}' in single quotes, class shell-url");
  }
  [[noreturn]] void unreadable(std::string_view why) const {
    throw InputError(place_,
                     "a script with private text cannot be read for sure: " + std::string(why),
                     "write it without here-documents, backquotes, $'..', `alias` and `case` in "
                     "$(..)");
  }

  void first_line() const {
    constexpr std::array<std::string_view, 4> kShells = {"#!/bin/sh", "#!/bin/bash", "#!/bin/sh -e",
                                                         "#!/bin/bash -e"};
    const std::string_view line = std::string_view(text_).substr(0, text_.find('\n'));
    if (std::find(kShells.begin(), kShells.end(), line) == kShells.end()) {
      unreadable("its first line is not #!/bin/sh or #!/bin/bash");
    }
    for (const char c : text_) {
      if (c != kHole && c != '\n' && c != '\t' && !printable().contains(c)) {
        unreadable("it has a character outside printable ASCII");
      }
    }
  }

  char next() const { return at_ + 1 < text_.size() ? text_[at_ + 1] : '\0'; }
  bool begins_word() const {
    return at_ == 0 ||
           std::string_view(" \t\n|&;()<>").find(text_[at_ - 1]) != std::string_view::npos;
  }
  bool is_word(std::string_view word) const {
    const auto part = [](char c) { return is_alnum(c) || c == '_'; };
    return std::string_view(text_).substr(at_, word.size()) == word &&
           (at_ == 0 || !part(text_[at_ - 1])) &&
           (at_ + word.size() >= text_.size() || !part(text_[at_ + word.size()]));
  }

  void step() {
    const char c = text_[at_];
    if (c == kHole) return judge();
    if (state_ == State::kSingle) {
      if (c == '\'') state_ = State::kPlain;
    } else if (state_ == State::kComment) {
      if (c == '\n') state_ = State::kPlain;
    } else if (open_.back() == '"') {
      in_double(c);
    } else if (open_.back() == '{') {
      in_braces(c);
    } else {
      in_plain(c);
    }
  }

  void escape() {
    if (next() == kHole || next() == '\0') unreadable("a backslash stands before a slot");
    ++at_;
  }
  void open(char c, size_t skip) {
    open_.push_back(c);
    at_ += skip;
  }
  /// `$(` and `${`; true if c begins one.
  bool substitution(char c) {
    if (c == '`') return simple_backquotes();
    if (c != '$') return false;
    if (next() == '(') open('(', 1);
    if (next() == '{') open('{', 1);
    return true;
  }

  /// `name -option word`: nothing in it that could end it early.
  bool simple_backquotes() {
    const size_t end = text_.find('`', at_ + 1);
    for (size_t k = at_ + 1; k < end; ++k) {
      if (end == std::string::npos || !(is_alnum(text_[k]) || text_[k] == ' ' || text_[k] == '-')) {
        unreadable("it has backquotes around more than plain words");
      }
    }
    at_ = end;
    return true;
  }

  void in_double(char c) {
    if (c == '"') {
      open_.pop_back();
    } else if (c == '\\') {
      escape();
    } else {
      (void)substitution(c);
    }
  }

  void in_braces(char c) {
    if (c == '}') {
      open_.pop_back();
    } else if (std::string_view("'\"\\`{(").find(c) != std::string_view::npos) {
      unreadable("it has a quote or bracket in ${..}");
    }
  }

  void in_plain(char c) {
    if (c == '\\') return escape();
    if (c == '$' && next() == '\'') unreadable("it has $'..'");
    if (substitution(c)) return;
    if (c == '<' && next() == '<') {
      if (!own_ || text_.substr(at_, 3) != "<<<") unreadable("it has a here-document");
      at_ += 2;  // a here-string is a word like any other
      return;
    }
    if (is_word("alias") || (open_.size() > 1 && is_word("case"))) {
      unreadable("it has `alias`, or `case` in $(..)");
    }
    if (c == '\'') {
      state_ = State::kSingle;
      quote_ = at_;
    } else if (c == '"' || c == '(') {
      open_.push_back(c);
    } else if (c == ')' && open_.back() == '(') {
      open_.pop_back();
    } else if (c == '#' && begins_word()) {
      state_ = State::kComment;
    }
  }

  void judge() const {
    const auto placed =
        std::find_if(slots_.begin(), slots_.end(), [&](const Placed& p) { return p.at == at_; });
    FLEXROOM_ASSERT(placed != slots_.end());
    const Slot& slot = *placed->slot;
    if (slot.source == SlotSource::kRandom) {
      const char after = next();
      const bool word = own_ && at_ > 0 && text_[at_ - 1] == ' ' && (after == ' ' || after == '\n');
      if (state_ == State::kPlain && !word) {
        fail(&slot, "stands in a script outside a comment or quotes");
      }
      if (!slot.checked_set().subset_of(char_set(CharClass::kHex))) {
        fail(&slot, "is random text in a script, but not of class hex");
      }
      return;
    }
    if (state_ != State::kSingle) fail(&slot, "stands in a script outside a quoted URL");
    if (!slot.checked_set().subset_of(char_set(CharClass::kShellUrl))) {
      fail(&slot, "stands in a script, but its class is wider than shell-url");
    }
    const size_t end = text_.find('\'', at_);
    if (end == std::string::npos) fail(&slot, "stands in a quote that does not close");
    const std::string_view quoted = std::string_view(text_).substr(quote_ + 1, end - quote_ - 1);
    constexpr std::string_view kScheme = "https://";
    const size_t slash =
        quoted.starts_with(kScheme) ? quoted.find('/', kScheme.size()) : std::string_view::npos;
    const bool host = slash != std::string_view::npos && quote_ + 1 + slash < at_ &&
                      is_host_name(quoted.substr(kScheme.size(), slash - kScheme.size()));
    const bool url = std::all_of(quoted.begin(), quoted.end(), [](char c) {
      return c == kHole || char_set(CharClass::kShellUrl).contains(c);
    });
    if (own_ && url) return;
    if (!host || !url) fail(&slot, "stands in quotes, but not behind https://public.host/");
  }

  std::string_view place_;
  bool own_;
  std::string text_;  // kHole for each slot
  std::vector<Placed> slots_;
  size_t at_ = 0, quote_ = 0;
  State state_ = State::kPlain;
  std::string open_ = "n";  // what is open: n (the script), '(', '{', '"'
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
  ShellReader(script, place, source).check();
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

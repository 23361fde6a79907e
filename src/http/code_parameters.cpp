#include "http/code_parameters.h"

#include <algorithm>

#include "base/display.h"
#include "base/error.h"
#include "base/host_name.h"
#include "http/script_rule.h"

namespace flexroom::http {
namespace {

enum class Code {
  kBase64Script,  // base64 of a script that check_script() passes
  kClosed,        // no slot at all
};
enum class Match { kWhole, kPart, kWord };

/// `service` is a label of an AWS host ("" for any host, and for values that name others); `name`
/// is compared with every part of a parameter's name, letters and digits only, in lower case: the
/// whole of it, any part of it, or a word of it ("script" in scriptUri and boot_script, not in
/// description).
struct CodeParameter {
  std::string_view service, name;
  Code code = Code::kClosed;
  Match match = Match::kWhole;
};
constexpr CodeParameter kCodeParameters[] = {
    // RunInstances, ModifyInstanceAttribute, launch templates and configurations, OpenStack, Azure
    {"", "userdata", Code::kBase64Script},
    {"", "customdata"},
    {"", "cloudinit"},
    {"", "cloudconfig"},
    {"", "personality"},
    {"", "commandtoexecute"},
    {"", "fileuris"},
    // Metadata of Google's machines
    {"", "startupscript", Code::kClosed, Match::kPart},
    {"", "shutdownscript", Code::kClosed, Match::kPart},
    {"", "sysprepspecializescript", Code::kClosed, Match::kPart},
    {"", "containerdeclaration", Code::kClosed, Match::kPart},
    {"", "kubeenv"},
    {"", "sshkeys"},
    // Azure's runCommands and script extensions, Linode, Vultr, Jenkins, Databricks, CI jobs
    {"", "script", Code::kClosed, Match::kWord},
    {"", "scripts", Code::kClosed, Match::kWord},
    {"", "shellscript", Code::kClosed, Match::kPart},
    {"", "initscript", Code::kClosed, Match::kPart},
    {"", "bootscript", Code::kClosed, Match::kPart},
    {"", "scriptur", Code::kClosed, Match::kPart},
    {"", "stackscript", Code::kClosed, Match::kPart},
    // Pods, containers and their hooks, jobs of all kinds, `exec?command=`
    {"", "command", Code::kClosed, Match::kWord},
    {"", "commands", Code::kClosed, Match::kWord},
    {"", "commandline"},
    {"", "cmd", Code::kClosed, Match::kWord},
    {"", "cmdline"},
    {"", "runcmd"},
    {"", "bootcmd"},
    {"", "args", Code::kClosed, Match::kWord},
    {"", "argv", Code::kClosed, Match::kWord},
    {"", "arguments", Code::kClosed, Match::kWord},
    {"", "entrypoint", Code::kClosed, Match::kPart},
    {"", "exec", Code::kClosed, Match::kWord},
    {"", "playbook", Code::kClosed, Match::kWord},
    {"", "dockerfile"},
    {"", "buildspec"},
    // What a machine or container is made from
    {"", "image"},
    {"", "imageid"},
    {"", "imageref"},
    {"", "imageuri"},
    {"", "imagereference"},
    {"", "sourceimage"},
    // What a machine boots, which others' links then reach
    {"ec2", "imageid", Code::kClosed, Match::kPart},
    {"ec2", "imagelocation", Code::kClosed, Match::kPart},
    {"ec2", "kernel", Code::kClosed, Match::kPart},
    {"ec2", "ramdisk", Code::kClosed, Match::kPart},
    {"ec2", "launchtemplate", Code::kClosed, Match::kPart},
    {"ec2", "defaultversion", Code::kClosed, Match::kPart},
    {"ec2", "snapshotid", Code::kClosed, Match::kPart},
    {"ec2", "blockdevice", Code::kClosed, Match::kPart},
    {"ec2", "diskcontainer", Code::kClosed, Match::kPart},
    // SendCommand, CreateAssociation, StartAutomationExecution, CreateDocument, maintenance windows
    {"ssm", "command", Code::kClosed, Match::kPart},
    {"ssm", "parameters"},
    {"ssm", "content", Code::kClosed, Match::kPart},
    {"ssm", "attachment", Code::kClosed, Match::kPart},
    {"ssm", "document", Code::kClosed, Match::kPart},
    {"ssm", "taskarn"},
    {"ssm", "payload", Code::kClosed, Match::kPart},
    // CreateStack, UpdateStack, CreateChangeSet, CreateStackSet
    {"cloudformation", "template", Code::kClosed, Match::kPart},
    {"cloudformation", "parameters"},
    // CreateNotebookInstanceLifecycleConfig, CreateTrainingJob, CreateProcessingJob, CreateModel
    {"sagemaker", "onstart"},
    {"sagemaker", "oncreate"},
    {"sagemaker", "content", Code::kClosed, Match::kPart},
    {"sagemaker", "algorithm", Code::kClosed, Match::kPart},
    {"sagemaker", "appspecification"},
    {"sagemaker", "image", Code::kClosed, Match::kPart},
    {"sagemaker", "container", Code::kClosed, Match::kPart},
    {"sagemaker", "modeldata", Code::kClosed, Match::kPart},
    {"sagemaker", "modelpackage", Code::kClosed, Match::kPart},
    {"sagemaker", "repository", Code::kClosed, Match::kPart},
    {"sagemaker", "pipelinedefinition", Code::kClosed, Match::kPart},
    {"sagemaker", "environment"},
    {"sagemaker", "hyperparameters"},
    // Services that no recipe can sign for today (call/action.h), so that it stays so
    {"autoscaling", "imageid"},
    {"autoscaling", "kernelid"},
    {"autoscaling", "ramdiskid"},
    {"autoscaling", "launchtemplate", Code::kClosed, Match::kPart},
    {"lambda", "zipfile"},
    {"lambda", "imageuri"},
    {"lambda", "environment"},
    {"lambda", "layers"},
    {"lambda", "s3", Code::kClosed, Match::kPart},
    {"ecs", "containerdefinitions"},
    {"ecs", "taskdefinition"},
    {"ecs", "overrides"},
    {"batch", "containerproperties"},
    {"batch", "containeroverrides"},
    {"batch", "jobdefinition"},
    {"codebuild", "buildspec", Code::kClosed, Match::kPart},
    {"codebuild", "override", Code::kClosed, Match::kPart},
    {"states", "definition"},
};

/// Values that name an attribute of a machine (ModifyInstanceAttribute).
constexpr std::string_view kAttributes[] = {"kernel", "kernelid", "ramdisk", "ramdiskid"};

bool is_aws_label(std::string_view host, std::string_view service) {
  if (host.find(".amazonaws.com") == std::string_view::npos) return false;
  for (size_t at = 0; at <= host.size();) {
    const size_t end = std::min(host.find('.', at), host.size());
    const std::string_view label = host.substr(at, end - at);
    if (label == service || (label.starts_with(service) && label.substr(service.size()) == "-fips"))
      return true;
    at = end + 1;
  }
  return false;
}

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::vector<std::string_view> split_at(std::string_view name, std::string_view ends) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find_first_of(ends, at), name.size());
    if (end > at) out.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

/// Where a value stands: "metadata", "items", "0", "key" of "/metadata/items/0/key" and of
/// "metadata[items][0].key".
std::vector<std::string_view> path_of(std::string_view name) { return split_at(name, "/.[]>"); }

std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_alnum(c)) out += to_lower(std::string_view(&c, 1));
  }
  return out;
}

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/// "run", "shell", "script" of "RunShellScript", "run-shell-script" and "RUNShellScript2".
void add_words(std::string_view text, std::vector<std::string>& out) {
  std::string word;
  const auto end = [&] {
    if (!word.empty()) out.push_back(plain(word));
    word.clear();
  };
  for (size_t k = 0; k < text.size(); ++k) {
    const char c = text[k];
    const bool letter = is_alnum(c) && !(c >= '0' && c <= '9');
    const bool before_lower = k + 1 < text.size() && is_alnum(text[k + 1]) && text[k + 1] >= 'a';
    if (!letter || (is_upper(c) && k > 0 && (!is_upper(text[k - 1]) || before_lower))) end();
    if (letter) word += c;
  }
  end();
}

/// What the rows are compared with.
struct NameParts {
  std::vector<std::string> whole, words;
};

/// "LaunchSpecification.UserData" is two parts; readers that have no dots or blanks in names (PHP)
/// make one of "user.data".
NameParts parts_of(std::string_view name) {
  NameParts out;
  for (const std::string_view part : split_at(name, "/[]>")) {
    out.whole.push_back(plain(part));
    for (const std::string_view word : split_at(part, ". ")) out.whole.push_back(plain(word));
    add_words(part, out.words);
  }
  out.words.insert(out.words.end(), out.whole.begin(), out.whole.end());
  return out;
}

bool fits(const CodeParameter& row, const NameParts& parts) {
  const auto& list = row.match == Match::kWord ? parts.words : parts.whole;
  return std::any_of(list.begin(), list.end(), [&](const std::string& text) {
    return row.match == Match::kPart ? text.find(row.name) != std::string::npos : text == row.name;
  });
}

const CodeParameter* code_parameter(std::string_view host, std::string_view name) {
  const NameParts words = parts_of(name);
  for (const CodeParameter& row : kCodeParameters) {
    if (!row.service.empty() && !is_aws_label(host, row.service)) continue;
    if (fits(row, words)) return &row;
  }
  return nullptr;
}

/// Whether a public value says that what stands beside it carries code. It is an identifier: no
/// sentence of a prompt is.
bool names_code(const RequestModel& request, const std::string& value) {
  const bool identifier =
      value.size() <= 64 && std::all_of(value.begin(), value.end(), [](char c) {
        return is_alnum(c) || std::string_view("_-.:").find(c) != std::string_view::npos;
      });
  if (!identifier || value.empty()) return false;
  const auto* const attribute =
      std::find(std::begin(kAttributes), std::end(kAttributes), plain(value));
  return code_parameter("", value) != nullptr ||
         (attribute != std::end(kAttributes) && is_aws_label(request.host, "ec2"));
}

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

constexpr std::string_view kUnseen = "one member would run code that the others have not seen";

/// A value may be named by a value beside it, or beside what it is in.
void check_named_beside(const RequestModel& request, const Parameter& parameter,
                        const std::string& place) {
  const std::vector<std::string_view> path = path_of(parameter.name);
  for (const auto* list : {&request.query, &request.body, &request.nested}) {
    for (const Parameter& other : *list) {
      const std::vector<std::string_view> beside = path_of(other.name);
      const std::string naming = beside.empty() ? "" : plain(beside.back());
      if (&other == &parameter || beside.empty() || naming == "action" || naming == "version") {
        continue;
      }
      const bool is_beside = beside.size() <= path.size() &&
                             std::equal(beside.begin(), beside.end() - 1, path.begin());
      if (!is_beside) continue;
      if (other.value.is_public()) {
        const std::string said = other.value.shown();
        if (!names_code(request, said)) continue;
        throw InputError(place,
                         "is named '" + display_short(said) + "' by " + other.name +
                             ": it carries code, and no slot may stand in it",
                         kUnseen);
      }
      const std::string last = plain(path.back());
      const bool is_name = naming == "key" || naming == "name" || naming == "attribute" ||
                           naming == "field" || naming == "id";
      const bool is_value = last.starts_with("value") || last == "stringvalue" ||
                            (path.size() > 1 && (last == "content" || last == "data"));
      if (is_name && is_value && beside.size() == path.size()) {
        throw InputError(place, "has a private value under a private name",
                         "what the value is for cannot be told, it may be code: make one public");
      }
    }
  }
}

/// CreateAssociation and its kin name a program as `Name`; GetParameter does not.
bool is_name_of_program(const RequestModel& request, const Parameter& parameter) {
  if (!is_aws_label(request.host, "ssm")) return false;
  const std::vector<std::string_view> path = path_of(parameter.name);
  const RequestText* const target = request.header("x-amz-target");
  const bool other = target == nullptr || !target->is_public() ||
                     target->shown().find("Parameter") == std::string::npos;
  return other && !path.empty() && plain(path.back()) == "name";
}

void check_parameter(const RequestModel& request, const Parameter& parameter,
                     const std::vector<Parameter>& list, ScriptSource source) {
  const RequestText& value = parameter.value;
  if (value.is_public()) return;
  const std::string place = "request to " + request.host + ", " + parameter.name;
  const CodeParameter* const row = code_parameter(request.host, parameter.name);
  if ((row != nullptr && row->code == Code::kClosed) || is_name_of_program(request, parameter)) {
    throw InputError(place, "carries code, and no slot may stand in it", kUnseen);
  }
  check_named_beside(request, parameter, place);
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

void check_code_parameters(const RequestModel& request, ScriptSource source) {
  for (const auto* list : {&request.query, &request.headers, &request.body, &request.nested}) {
    for (const Parameter& parameter : *list) {
      check_parameter(request, parameter, *list, source);
    }
  }
  // XML has element names where others have parameter names: what they mean cannot be told here.
  if (!request.opaque || request.opaque->is_public()) return;
  const std::string text = request.opaque->shown();
  for (const std::string_view part : split_at(text, " \t\r\n<>/=\"'")) {
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

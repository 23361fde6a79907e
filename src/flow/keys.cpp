#include "flow/keys.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/display.h"
#include "base/near_name.h"

namespace flexroom::flow {
namespace {

using T = KeyType;

constexpr std::string_view kClasses =
    "hex|base32|base64|base64url|urlsafe|cookie|jsonsafe|xmltext|digits|shellurl|raw";

constexpr std::array kFileKeys = {
    Key{"flow", T::kTable, "what the file is called and where it may go", "", Table::kFlow, true},
    Key{"argument", T::kNamed, "public values, --arg NAME=VALUE", "", Table::kArgument},
    Key{"input", T::kNamed, "private values of one member", "", Table::kInput},
    Key{"born", T::kNamed, "secrets that all members draw together", "", Table::kBorn},
    Key{"step", T::kList, "the main line, in order", "", Table::kStep, true},
    Key{"branch", T::kLists, "steps off the main line, entered by a rule", "", Table::kStep},
};
constexpr std::array kFlowKeys = {
    Key{"name", T::kText, "of the flow", "", Table::kFile, true},
    Key{"provider", T::kText, "[provider.NAME] of room.toml", "", Table::kFile, true},
    Key{"prefix", T::kText, "all names lie below it", "", Table::kFile, true},
    Key{"hosts", T::kTexts, "the hosts of its requests", "", Table::kFile, true},
    Key{"later_hosts", T::kTexts, "hosts for purposes of later flows only"},
    Key{"uses", T::kTexts, "names that must exist"},
    Key{"may_use", T::kTexts, "names that may exist"},
    Key{"key", T::kText, "steps with `sign` use KEY/secret and KEY/id"},
    Key{"claimant", T::kText, "the member who may give several of card, telephone, postal data"},
    Key{"settle_seconds", T::kInteger, "raises the time before an `unknown` is acted on"},
    Key{"consent", T::kText, "what each member's person says to know before a run begins"},
};
constexpr std::array kArgumentKeys = {
    Key{"default", T::kText, "if none is given"},
};
constexpr std::array kInputKeys = {
    Key{"from", T::kText, "the member who gives it, or {{ARGUMENT}}", "", Table::kFile, true},
    Key{"kind", T::kText, "what support desks ask for", "card|telephone|postal"},
    Key{"class", T::kText, "its characters", kClasses, Table::kFile, true},
    Key{"length", T::kInteger, "its bytes", "", Table::kFile, true},
    Key{"purposes", T::kTexts, "METHOD https://HOST/PATH PLACE"},
};
constexpr std::array kBornKeys = {
    Key{"alphabet", T::kText, "drawn uniformly from it", "hex|base32|base64url|digits"},
    Key{"list", T::kText, "a file beside this one: 2^k sorted entries of one length"},
    Key{"length", T::kInteger, "characters that are drawn"},
    Key{"suffix", T::kText, "a literal behind them"},
    Key{"identifies", T::kFlag, "outsiders can name the identity by it: at least 128 bits"},
    Key{"purposes", T::kTexts, "METHOD https://HOST/PATH PLACE [as FUNCTION]"},
};
constexpr std::array kStepKeys = {
    Key{"name", T::kText, "unique, begins with a capital", "", Table::kFile, true},
    Key{"leaves", T::kText, "in words, what is left at the provider"},
    Key{"request", T::kText, "the request with {{NAME}} slots"},
    Key{"sealed", T::kFlag, "false: the whole answer is opened to all"},
    Key{"sign", T::kText, "SERVICE REGION of a SigV4 signature"},
    Key{"status", T::kIntegers, "what counts as ok; [200]"},
    Key{"type", T::kText, "Content-Type of the answer; application/json"},
    Key{"header_max", T::kInteger, "bytes of the answer's header; 2048"},
    Key{"body_max", T::kInteger, "bytes of its body; 4096"},
    Key{"item", T::kText, "one element of one array: /PATH/[filter]"},
    Key{"pick", T::kText, "which element, if several fit", "only|first"},
    Key{"keep", T::kNamed, "parts of the answer that stay secret", "", Table::kKeep},
    Key{"open", T::kNamed, "parts of the answer that become public", "", Table::kOpen},
    Key{"assert", T::kNamed, "tests of the answer", "", Table::kAssert},
    Key{"code", T::kTable, "which code a refusal names", "", Table::kCode},
    Key{"proves", T::kText, "what the run keeps below this is the room's from here on"},
    Key{"every_seconds", T::kInteger, "pause before a rule leads back; 5"},
    Key{"on", T::kTable, "EVENT = RULE", "", Table::kOn},
    Key{"ask", T::kText, "the member whose person is asked"},
    Key{"show", T::kTexts, "opened values that the person sees"},
    Key{"within_seconds", T::kInteger, "how long the person may take; 300"},
};
constexpr std::array kKeepKeys = {
    Key{"at", T::kText, "the selector", "", Table::kFile, true},
    Key{"class", T::kText, "its characters, checked inside MPC", kClasses, Table::kFile, true},
    Key{"length", T::kLength, "n or [min, max] bytes", "", Table::kFile, true},
    Key{"purposes", T::kTexts,
        "METHOD https://HOST/PATH PLACE [as FUNCTION]; none: usable nowhere"},
    Key{"entropy", T::kInteger, "bits that all members believe it has; 0"},
    Key{"decode", T::kText, "the slot holds the bytes", "base32|base64|hex"},
    Key{"missing", T::kText, "of a cookie: none in the answer keeps the old one", "fail|same"},
    Key{"replace", T::kFlag, "a new version of a secret of the room"},
};
constexpr std::array kOpenKeys = {
    Key{"at", T::kText, "the selector; none for the answer of a person"},
    Key{"class", T::kText, "its characters", kClasses, Table::kFile, true},
    Key{"max", T::kInteger, "bytes at most", "", Table::kFile, true},
    Key{"to", T::kText, "all (default), or the member who alone sees it"},
};
constexpr std::array kAssertKeys = {
    Key{"at", T::kText, "the selector", "", Table::kFile, true},
    Key{"equals", T::kText, "a literal with {{NAME}} of public values"},
    Key{"absent", T::kFlag, "true: there is no such place"},
};
constexpr std::array kCodeKeys = {
    Key{"at", T::kText, "a json or xml selector", "", Table::kFile, true},
    Key{"one_of", T::kTexts, "1 to 32 codes", "", Table::kFile, true},
};

constexpr std::array kRecipeFileKeys = {
    Key{"recipe", T::kTable, "what is called", "", Table::kRecipe, true},
    Key{"argument", T::kNamed, "public values, --arg NAME=VALUE", "", Table::kArgument},
    Key{"sign", T::kTable, "a SigV4 signature with a stored key", "", Table::kRecipeSign},
    Key{"slot", T::kNamed, "secrets, private values, nonces", "", Table::kRecipeSlot},
};
constexpr std::array kRecipeKeys = {
    Key{"name", T::kText, "the title of what members approve", "", Table::kFile, true},
    Key{"provider", T::kText, "[provider.NAME] of room.toml", "", Table::kFile, true},
    Key{"host", T::kText, "of the request", "", Table::kFile, true},
    Key{"request", T::kText, "the request with {{NAME}} slots", "", Table::kFile, true},
    Key{"open", T::kText, "who may read the answer", "everything to all", Table::kFile, true},
};
constexpr std::array kRecipeSignKeys = {
    Key{"secret", T::kText, "the stored key", "", Table::kFile, true},
    Key{"region", T::kText, "of the signature", "", Table::kFile, true},
    Key{"service", T::kText, "of the signature", "", Table::kFile, true},
};
constexpr std::array kRecipeSlotKeys = {
    Key{"source", T::kText, "where its bytes come from", "secret|member|random", Table::kFile,
        true},
    Key{"secret", T::kText, "of the store"},
    Key{"member", T::kText, "whose private value it is"},
    Key{"encoding", T::kText, "how the bytes are written",
        "none|base64|base64-in-form|hex|percent|json-u"},
    Key{"class", T::kText, "its characters",
        "hex|b64|urlsafe|cookie|json-safe|xml-text|digits|shell-url|shell-path|raw"},
    Key{"length", T::kInteger, "bytes before encoding"},
    Key{"fill", T::kText, "one character that fills a shorter value up"},
    Key{"echo_ok", T::kFlag, "all members may read it, should an answer repeat it"},
};

TomlTable::Type toml_type(KeyType type) {
  switch (type) {
    case T::kText:
      return TomlTable::Type::kText;
    case T::kInteger:
      return TomlTable::Type::kInteger;
    case T::kFlag:
      return TomlTable::Type::kFlag;
    case T::kTexts:
    case T::kIntegers:
    case T::kLength:
      return TomlTable::Type::kList;
    case T::kList:
      return TomlTable::Type::kTables;
    default:
      return TomlTable::Type::kTable;
  }
}

bool fits(KeyType type, TomlTable::Type is) {
  return is == toml_type(type) || (type == T::kLength && is == TomlTable::Type::kInteger);
}

}  // namespace

std::span<const Key> keys_of(Table table) {
  switch (table) {
    case Table::kFile:
      return kFileKeys;
    case Table::kFlow:
      return kFlowKeys;
    case Table::kArgument:
      return kArgumentKeys;
    case Table::kInput:
      return kInputKeys;
    case Table::kBorn:
      return kBornKeys;
    case Table::kStep:
      return kStepKeys;
    case Table::kKeep:
      return kKeepKeys;
    case Table::kOpen:
      return kOpenKeys;
    case Table::kAssert:
      return kAssertKeys;
    case Table::kCode:
      return kCodeKeys;
    case Table::kRecipeFile:
      return kRecipeFileKeys;
    case Table::kRecipe:
      return kRecipeKeys;
    case Table::kRecipeSign:
      return kRecipeSignKeys;
    case Table::kRecipeSlot:
      return kRecipeSlotKeys;
    case Table::kOn:
      break;
  }
  return {};
}

void check_keys(const TomlTable& toml, Table table) {
  const std::span<const Key> known = keys_of(table);
  for (const std::string& key : toml.keys()) {
    const auto found =
        std::find_if(known.begin(), known.end(), [&](const Key& k) { return k.name == key; });
    if (found == known.end()) {
      std::vector<std::string> names;
      for (const Key& k : known) names.emplace_back(k.name);
      throw InputError(toml.place(key),
                       fmt::format("unknown {} `{}`{}", table == Table::kFile ? "table" : "key",
                                   display_short(key), did_you_mean(key, names)),
                       "remove it, or correct its spelling");
    }
    if (!fits(found->type, toml.type_of(key))) {
      throw InputError(toml.place(key), fmt::format("`{}` has another type", key),
                       fmt::format("it is {}", found->about));
    }
  }
  for (const Key& key : known) {
    if (!key.required || toml.has(key.name)) continue;
    const bool list = table == Table::kFile;
    throw InputError(toml.place(key.name),
                     list ? (key.type == T::kList ? fmt::format("no [[{}]]", key.name)
                                                  : fmt::format("no [{}]", key.name))
                          : fmt::format("`{}` is missing", key.name),
                     fmt::format("it is {}", key.about));
  }
}

}  // namespace flexroom::flow

#include "http/script_rule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.h"
#include "base/error.h"

// B3 of the findings: a member's private slot ran as root code in the machine.

namespace flexroom::http {
namespace script_rule_test {

using ::testing::HasSubstr;

Slot member(Encoding encoding, CharClass c = CharClass::kShellUrl, uint32_t length = 30) {
  return {"s", SlotSource::kMember, "m", encoding, c, length};
}

/// Why a script is refused; {{s}} in it is the slot.
std::string refusal(const std::string& text, const Slot& slot = member(Encoding::kNone)) {
  RequestText script;
  const size_t hole = text.find("{{s}}");
  EXPECT_NE(hole, std::string::npos) << text;
  for (const char c : text.substr(0, hole)) script.add(c);
  script.add(slot, Encoding::kNone);
  for (const char c : text.substr(hole + 5)) script.add(c);
  try {
    check_script(script, "user data");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}
const std::string kHead = "#!/bin/bash\n";

TEST(ScriptRule, AQuotedUrlBehindAPublicHostInALineOfItsOwn) {
  EXPECT_EQ(refusal(kHead + "d='https://h.example/{{s}}'\n"), "");
  EXPECT_EQ(refusal(kHead + "d='https://h.example/{{s}}'"), "");
  EXPECT_EQ(refusal("#!/bin/sh -e\n\n# don't `\nlink_2='https://h.example/a?b={{s}}&c=d'  \n"
                    "curl -o d \"$link_2\"; echo 'it'\\''s' <<E\nE\n"),
            "");
}

TEST(ScriptRule, NoLineWithASlotHangsOnAnother) {
  const char* bad[] = {
      // From the findings: an escaped quote counts for parity, not for the shell.
      "echo '\\''x'https://h.example/{{s}}'y'\n",
      "echo \\''x'https://h.example/{{s}}'y'\n",
      "echo \"'\"https://h.example/{{s}}\"'\"\n",
      "# don't\necho https://h.example/{{s}}' '\n",
      "echo ''https://h.example/{{s}}''\n",
      "eval '\nd='https://h.example/{{s}}'\n'\n",
      "echo $'\\'https://h.example/{{s}}'\n",
      "cat <<E\nd='https://h.example/{{s}}'\nE\n",
      "cat <<'E'\nd='https://h.example/{{s}}'\nE\n",
      "echo \"$(echo 'https://h.example/{{s}}\n",
      "echo \"\nd='https://h.example/{{s}}'\n\"\n",
      "x=${y#'https://h.example/{{s}}'}\n",
      "echo \"$(case a in a) echo \"'\" ;; esac)\"\nd='https://h.example/{{s}}'\n",
      "alias d=\"'\"\nd='https://h.example/{{s}}'\n",
      "echo `echo \\`\nd='https://h.example/{{s}}'\n",
      // What begins a comment for one reader and a word for another.
      "echo \\;#'\nd='https://h.example/{{s}}' #'\n",
      "echo a\\\n#'\nd='https://h.example/{{s}}' #'\n",
      "echo $(true)#'\nd='https://h.example/{{s}}' #'\n",
      // Lines that a backslash joins.
      "cat <\\\n<E\nd='https://h.example/{{s}}'\nE\n",
      "echo $\\\n'..\\'\nd='https://h.example/{{s}}'\n",
      "\\alias d=\"echo '\"\nd='https://h.example/{{s}}'\n",
      "true\nd='https://h.example/{{s}}'\n",
      "\t\nd='https://h.example/{{s}}'\n",
      " d='https://h.example/{{s}}'\n",
      "d='https://h.example/{{s}}' e=f\n",
      "d='https://h.example/{{s}}'; ls\n",
      "d='https://h.example/{{s}}'#\n",
      "d='https://h.example/{{s}}'''\n",
      "d='https://h.example/{{s}}'\t\n",
      "d='https://h.example/{{s}}'\\\nls\n",
      "d='https://h.example/{{s}}\n",
      "d=\"https://h.example/{{s}}\"\n",
      "d=https://h.example/{{s}}\n",
      "d+='https://h.example/{{s}}'\n",
      "d[0]='https://h.example/{{s}}'\n",
      "export d='https://h.example/{{s}}'\n",
      "='https://h.example/{{s}}'\n",
      "1='https://h.example/{{s}}'\n",
      // Names that mean something to the shell or to what it starts.
      "PATH='https://h.example/{{s}}'\n",
      "IFS='https://h.example/{{s}}'\n",
      "dEV='https://h.example/{{s}}'\n",
      "https_proxy='https://h.example/{{s}}'\n",
      "histchars='https://h.example/{{s}}'\n",
      "{{s}}='https://h.example/'\n",
      // Other readers of user data.
      "# <script>\nd='https://h.example/{{s}}'\n# </script>\n",
      "d='https://h.example/{{s}}'\necho \xc3\xa9\n",
      "d='https://h.example/{{s}}'\necho \r\n",
      "{{s}}\n",
      "# {{s}}\n",
      "d='https://{{s}}'\n",
      "d='https://{{s}}/'\n",
      "d='http://h.example/{{s}}'\n",
      "d='x https://h.example/{{s}}'\n",
      "d='https://h.example/{{s}} ; x'\n",
      "d='{{s}}'\n",
  };
  for (const char* script : bad) EXPECT_NE(refusal(kHead + script), "") << script;
  EXPECT_THAT(refusal("#!/usr/bin/python3\nx='https://h.example/{{s}}'\n"),
              HasSubstr("first line"));
  EXPECT_THAT(refusal("d='https://h.example/{{s}}'\n"), HasSubstr("first line"));
  EXPECT_THAT(refusal("#!/bin/sh {{s}}\n"), HasSubstr("first line"));
  EXPECT_THAT(
      refusal(kHead + "d='https://h.example/{{s}}'\n", member(Encoding::kNone, CharClass::kRaw)),
      HasSubstr("wider than shell-url"));
}

TEST(ScriptRule, ANonceStandsInACommentOrInQuotes) {
  Slot nonce = member(Encoding::kNone, CharClass::kHex, 32);
  nonce.source = SlotSource::kRandom;
  EXPECT_EQ(refusal(kHead + "#{{s}}\n", nonce), "");
  EXPECT_EQ(refusal(kHead + "x='{{s}}'\n", nonce), "");
  EXPECT_NE(refusal(kHead + "x={{s}}\n", nonce), "");
  EXPECT_NE(refusal(kHead + "echo '\n#{{s}}\n'\n", nonce), "");
  nonce.char_class = CharClass::kBase64Url;
  EXPECT_EQ(refusal(kHead + "#{{s}}\n", nonce), "");
  nonce.char_class = CharClass::kB64;
  EXPECT_NE(refusal(kHead + "#{{s}}\n", nonce), "");
}

/// The boot loader's own rule: {{n}} is the nonce, {{s}} what is private; or the other way round.
std::string own_refusal(const std::string& text, bool nonce_first = true) {
  Slot nonce = member(Encoding::kNone, CharClass::kHex, 32);
  nonce.source = SlotSource::kRandom;
  const Slot slot = member(Encoding::kNone);
  RequestText script;
  for (size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = std::string_view(text).substr(at);
    const bool is_nonce = rest.starts_with("{{n}}");
    if (is_nonce || rest.starts_with("{{s}}")) {
      script.add(is_nonce == nonce_first ? nonce : slot, Encoding::kNone);
      at += 4;
    } else {
      script.add(text[at]);
    }
  }
  try {
    check_script(script, "user data", ScriptSource::kOwnScript);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(ScriptRule, TheBootLoaderHasItsSlotsInItsLastLine) {
  const std::string loader = "#!/bin/bash\nm(){\nls\n}\n";
  EXPECT_EQ(own_refusal(loader + "m {{n}} '{{s}}' '{{s}}{{s}}'\n\n"), "");
  EXPECT_NE(own_refusal(loader + "m {{n}} '{{s}}' '{{s}}{{s}}'\n\n", false), "");
  for (const char* call :
       {"m {{n}} {{s}}\n", "m {{n}} '{{s}}'{{s}}\n", "m {{n}} '{{s}} '\n", "m {{n}} '{{s}}' ls\n",
        "m {{n}} '{{s}}\n", "m '{{s}}' {{n}}\n", "m {{n}} '{{s}}';'{{s}}'\n",
        "x='{{s}}'\nm {{n}} '{{s}}'\n", "m {{n}} '{{s}}'\nls\n", "m {{n}} \"{{s}}\"\n"}) {
    EXPECT_NE(own_refusal(loader + call), "") << call;
  }
}

}  // namespace script_rule_test
}  // namespace flexroom::http

#include "http/select.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "circuits/json_outline.h"
#include "circuits/xml_outline.h"
#include "http/response.h"
#include "select_rig.h"
#include "support/code_search.h"
#include "support/sweeps.h"

// Selections on the marks of the circuits, against readers written from the standards; those of
// cookies are in select_cookie_test.cpp.

namespace flexroom::circuits {
namespace {

// --- other header lines ---

TEST(SelectHeader, LocationAndContentType) {
  const auto header = [](const std::string& lines, auto select) {
    const std::string text = "HTTP/1.1 302 Found\r\n" + lines + "\r\n";
    const mpc::Circuit circuit = header_outline_circuit(text.size());
    return outcome([&] {
      SealedBytes bytes(text);
      return select(lines_of(run_alone(circuit, text), 0, text.size()), bytes, text);
    });
  };
  const auto location = [&](const std::string& lines) {
    return header(lines, [](const auto& h, auto& bytes, const auto& text) {
      return std::string(
          at(text, http::select_header(h, "location", "https://h/cb?code=", "&s=1", bytes)));
    });
  };
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=1\r\n"), "abc");
  EXPECT_EQ(location("LOCATION: \t https://h/cb?code=a;b=c&s=1\r\n"), "a;b=c");
  EXPECT_EQ(location("Location: https://h/cb?code=&s=1\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?Code=abc&s=1\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=2\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=1 \r\n"), "! not found");
  EXPECT_EQ(location("X-Location: https://h/cb?code=abc&s=1\r\n"), "! not found");
  EXPECT_EQ(location("Location: https://h/cb?code=abc&s=1\r\nlocation: x\r\n"), "! twice");
  const auto type = [&](const std::string& lines) {
    return header(lines, [](const auto& h, auto& bytes, const auto&) {
      http::require_content_type(h, "application/json", bytes);
      return std::string("yes");
    });
  };
  EXPECT_EQ(type("Content-Type: application/json\r\n"), "yes");
  EXPECT_EQ(type("content-type:Application/JSON; charset=SECRET\r\n"), "yes");
  EXPECT_EQ(type("Content-Type: application/jsonx\r\n"), "! other type");
  EXPECT_EQ(type("Content-Type: application/json=x\r\n"), "! other type");
  EXPECT_EQ(type("Content-Type: text/html; application/json\r\n"), "! other type");
  EXPECT_EQ(type("Content-Type: application/json ; a\r\n"), "! bad header");
  EXPECT_EQ(type("Content-Type: application/json\r\nContent-Type: application/json\r\n"),
            "! twice");
  EXPECT_EQ(type(""), "! other type");
  const auto refusal = [&](const std::string& lines) {
    return header(lines, [](const auto& h, auto& bytes, const auto&) {
      http::require_content_type(h, "application/json", bytes, http::NoType::kTaken);
      return std::string("yes");
    });
  };
  EXPECT_EQ(refusal(""), "yes");
  EXPECT_EQ(refusal("Content-Type: application/json\r\n"), "yes");
  EXPECT_EQ(refusal("Content-Type: text/html\r\n"), "! other type");
  EXPECT_EQ(refusal("Content-Type: application/json\r\nContent-Type: text/html\r\n"), "! twice");
}

// --- JSON ---

std::string json_at(const std::string& text, const Path& path, bool number = false) {
  const mpc::Circuit circuit = json_outline_circuit(text.size());
  return outcome([&] {
    const Instance instance = run_alone(circuit, text);
    const JsonNode tree =
        http::read_json_outline(text.size(), opened(text, instance.marks(0, "marks", text.size())));
    SealedBytes bytes(text, instance.marks(0, "escapes", text.size()));
    return std::string(at(text, number ? http::select_json_number(tree, path, bytes)
                                       : http::select_json_string(tree, path, bytes)));
  });
}

JsonItem item_of(std::vector<http::JsonFilter> filters, bool first = true) {
  return {std::move(filters), first};
}

// Each of these was taken for the one match by a pattern (§5.4, why not patterns).
TEST(SelectJson, DecoysEndInTheNamedFailure) {
  EXPECT_EQ(json_at("{\"code\":123456,\"p\":{\"code\":\"999999\"}}", {"code"}), "! other type");
  EXPECT_EQ(json_at("{\"error\":{\"tags\":{\"S\":\"ATT\"}}}", {"S"}), "! not found");
  EXPECT_EQ(json_at("{\"C\":{\"S\":\"ATT\"},\"C\":{}}", {"C", "S"}), "! twice");
  EXPECT_EQ(json_at("{\"\\u0053\":\"REAL\",\"a\":{\"S\":\"ATT\"}}", {"S"}), "! escaped key");
  EXPECT_EQ(json_at("{\"S\":\"abc\",\"x\":\"", {"S"}), "! not well formed");
  EXPECT_EQ(json_at("<p>{\"S\":\"ATT\"}</p>", {"S"}), "! not well formed");
  EXPECT_EQ(json_at("{\"S\"\x0b:\"REAL\",\"a\":{\"S\":\"ATT\"}}", {"S"}), "! not well formed");
  EXPECT_EQ(json_at("{\"S\":\"a\\nb\"}", {"S"}), "! escaped text");
  EXPECT_EQ(json_at("{\"S\":\"ok\"}", {"S"}), "ok");
  EXPECT_EQ(json_at("[\"a\",\"b\"]", {size_t{1}}), "b");
  EXPECT_EQ(json_at("[\"a\",\"b\"]", {size_t{2}}), "! not found");
  EXPECT_EQ(json_at("{\"n\":7}", {"n"}, true), "7");
  EXPECT_EQ(json_at("{\"n\":\"7\"}", {"n"}, true), "! other type");
  EXPECT_EQ(json_at("{\"n\":true}", {"n"}, true), "! outside class");
  EXPECT_EQ(json_at("{\"n\":null}", {"n"}, true), "! outside class");
}

// --- JSON against a parser of others ---

/// A value with its names decoded, doubled ones kept: what nlohmann's parser reports.
struct Decoded {
  char kind = 't';  // o a s t
  std::string text;
  std::vector<Decoded> children = {};
  std::string name = {};  // as a member
};

class Collect : public nlohmann::json_sax<nlohmann::json> {
 public:
  Decoded root;
  bool null() override { return add({'t', "null", {}}); }
  bool boolean(bool value) override { return add({'t', value ? "true" : "false", {}}); }
  bool number_integer(number_integer_t value) override {
    return add({'t', std::to_string(value), {}});
  }
  bool number_unsigned(number_unsigned_t value) override {
    return add({'t', std::to_string(value), {}});
  }
  bool number_float(number_float_t, const string_t& text) override { return add({'t', text, {}}); }
  bool string(string_t& value) override { return add({'s', value, {}}); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return open('o'); }
  bool start_array(size_t) override { return open('a'); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& value) override {
    key_ = value;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception&) override {
    return false;
  }

 private:
  bool add(Decoded value) {
    if (open_.empty()) {
      root = std::move(value);
    } else {
      value.name = names_.back() ? key_ : "";
      open_.back().children.push_back(std::move(value));
    }
    return true;
  }
  bool open(char kind) {
    keys_.push_back(key_);
    names_.push_back(kind == 'o');
    open_.push_back({kind, "", {}});
    return true;
  }
  bool close() {
    Decoded value = std::move(open_.back());
    open_.pop_back();
    names_.pop_back();
    key_ = keys_.back();
    keys_.pop_back();
    return add(std::move(value));
  }
  std::vector<Decoded> open_;
  std::vector<bool> names_;
  std::vector<std::string> keys_;
  std::string key_;
};

const Decoded* the_member(const Decoded* node, const std::string& key) {
  if (node == nullptr || node->kind != 'o') return nullptr;
  const Decoded* found = nullptr;
  for (const Decoded& child : node->children) {
    if (child.name != key) continue;
    if (found != nullptr) return nullptr;
    found = &child;
  }
  return found;
}

/// The first (or only) element whose `from` is the text; or the member or element of a plain path.
const Decoded* pick(const Decoded* node, const Path& path) {
  for (const JsonStep& step : path) {
    if (node == nullptr) return nullptr;
    if (const auto* key = std::get_if<std::string>(&step)) {
      node = the_member(node, *key);
      continue;
    }
    if (node->kind != 'a') return nullptr;
    if (const auto* index = std::get_if<size_t>(&step)) {
      node = *index < node->children.size() ? &node->children[*index] : nullptr;
      continue;
    }
    const JsonItem& item = std::get<JsonItem>(step);
    const Decoded* found = nullptr;
    for (const Decoded& element : node->children) {
      const Decoded* text = the_member(&element, item.filters[0].path[0]);
      if (text == nullptr || text->kind != 's' || text->text != item.filters[0].text) continue;
      if (found != nullptr && !item.first) return nullptr;
      if (found == nullptr) found = &element;
    }
    node = found;
  }
  return node;
}

std::string random_member(RandomText& random, size_t depth) {
  const auto text = [&] {
    return "\"" + random.one_of({"k", "a", "x y", "\\u006b", "\\\"", "{}", "a:b,", ""}) + "\"";
  };
  if (depth > 2 || random.once_in(2))
    return random.once_in(4) ? random.one_of({"1", "true", "null", "{}", "[]"}) : text();
  const bool object = random.once_in(2);
  std::string out;
  for (size_t count = 1 + random.below(3); count > 0; --count) {
    if (!out.empty()) out += random.one_of({",", ", "});
    if (object)
      out += random.one_of({"\"k\":", "\"k\":", "\"a\" : ", "\"b\":", "\"\\u006b\":", "\"kk\":"});
    out += random_member(random, depth + 1);
  }
  return (object ? "{" : "[") + out + (object ? "}" : "]");
}

// Never another value, and never one where that parser has none: what it refuses as a whole is
// selected from only if its fault lies elsewhere, in strings or tokens.
TEST(SelectJson, IsTheValueOfAParserOfOthersSweep) {
  constexpr size_t kSize = 160;
  const mpc::Circuit circuit = json_outline_circuit(kSize);
  Instance instance(circuit, kSize);
  RandomText random(51);
  const std::vector<Path> paths = {{"k"},
                                   {"k", "a"},
                                   {"k", size_t{0}},
                                   {size_t{1}, "k"},
                                   {item_of({{{"k"}, "a"}}), "a"},
                                   {"k", item_of({{{"k"}, "k"}}, false), "a"},
                                   {item_of({{{"a"}, "k"}}, false), "k"}};
  size_t equal = 0, both_refuse = 0, ours_only = 0;
  for (size_t done = 0; done < support::tries(20000); done += support::CircuitBatch::kLanes) {
    std::vector<std::string> texts(support::CircuitBatch::kLanes);
    for (std::string& text : texts) {
      text = random.once_in(2)
                 ? "{\"k\":" + random_member(random, 0) + "}"
                 : "[" + random_member(random, 0) + "," + random_member(random, 0) + "]";
      if (random.once_in(4))
        random.edit(text, {"\"", "\\", "{", "}", "[", "]", ",", ":", " ", "0", ",\"k\":\"a\""});
    }
    instance.run(texts, random);
    for (size_t lane = 0; lane < texts.size(); ++lane) {
      const std::string& text = texts[lane];
      const Path& path = paths[random.below(paths.size())];
      SealedBytes bytes(text, instance.marks(lane, "escapes", text.size()));
      const std::string ours = outcome([&] {
        const JsonNode tree = http::read_json_outline(
            text.size(), opened(text, instance.marks(lane, "marks", text.size())));
        return std::string(at(text, http::select_json_string(tree, path, bytes)));
      });
      Collect theirs;
      if (!nlohmann::json::sax_parse(text, &theirs)) continue;  // the outline sweeps see to these
      const Decoded* value = pick(&theirs.root, path);
      if (value == nullptr || value->kind != 's') {
        ASSERT_EQ(ours.substr(0, 2), "! ") << text;
        ++both_refuse;
      } else if (ours.starts_with("! ")) {
        // Texts of filters are compared as sent, and an element with two readings stops them.
        const bool filters = std::any_of(path.begin(), path.end(), [](const JsonStep& step) {
          return std::holds_alternative<JsonItem>(step);
        });
        ASSERT_TRUE(ours.starts_with("! escaped") ||
                    (filters && (ours == "! twice" || ours == "! not found" || ours == "! none")))
            << ours << text;
        ++ours_only;
      } else {
        ASSERT_EQ(ours, value->text) << text;
        ++equal;
      }
    }
  }
  EXPECT_GT(equal, 300u);
  EXPECT_GT(both_refuse, 3000u);
  EXPECT_GT(ours_only, 100u);
}

// Objects of strangers in a list: passed over, never taken for the wanted one.
TEST(SelectJson, FiltersPassOverStrangers) {
  const auto mail = [](const std::string& from, const std::string& code,
                       const std::string& subject = "Verification code") {
    return "{\"from\":{\"address\":\"" + from + "\"},\"subject\":\"" + subject +
           "\",\"intro\":\"code is " + code + "\"}";
  };
  const Path intro = {
      "member",
      item_of({{{"from", "address"}, "no-reply@s.test"}, {{"subject"}, "Verification code"}}),
      "intro"};
  const auto box = [&](const std::string& mails) {
    return json_at("{\"member\":[" + mails + "]}", intro);
  };
  EXPECT_EQ(box(mail("\\\"a b\\\"@evil.test", "999999") + "," + mail("no-reply@s.test", "123456")),
            "code is 123456");
  EXPECT_EQ(box(mail("no-reply\\u0040s.test", "1")), "! none");
  EXPECT_EQ(box(mail("no-reply@s.test", "1", "Your bill")), "! none");
  EXPECT_EQ(box("{\"from\":7}," + mail("no-reply@s.test", "2")), "code is 2");
  EXPECT_EQ(box("{\"from\":{\"address\":\"x\"},\"from\":{\"address\":\"no-reply@s.test\"}}"),
            "! twice");
  EXPECT_EQ(box("{\"fr\\u006fm\":{\"address\":\"no-reply@s.test\"}}"), "! escaped key");
  EXPECT_EQ(box(mail("no-reply@s.test", "1") + "," + mail("no-reply@s.test", "2")), "code is 1");

  http::JsonFilter not_ours{{"id"}, "AKIA1"};
  not_ours.equal = false;
  const auto other = [&](const std::string& keys) {
    return json_at("{\"member\":[" + keys + "]}", {"member", item_of({not_ours}, false), "id"});
  };
  EXPECT_EQ(other("{\"id\":\"AKIA1\"},{\"id\":\"AKIA2\"}"), "AKIA2");
  EXPECT_EQ(other("{\"id\":\"AKIA1\"}"), "! none");
  EXPECT_EQ(other("{\"id\":\"AKIA1\"},{\"id\":\"\\u0041KIA1\"}"), "! escaped text");
  EXPECT_EQ(other("{\"intro\":\"x\"}"), "! not found");
  EXPECT_EQ(other("{\"id\":\"AKIA2\"},{\"id\":\"AKIA3\"}"), "! twice");
}

// --- XML ---

std::string xml_at(const std::string& text, const std::vector<std::string>& path) {
  const mpc::Circuit circuit = xml_outline_circuit(text.size());
  return outcome([&] {
    const Instance instance = run_alone(circuit, text);
    SealedBytes bytes(text);
    return std::string(
        at(text,
           http::select_xml(http::read_xml_outline(
                                text.size(), opened(text, instance.marks(0, "marks", text.size()))),
                            path, bytes)));
  });
}

TEST(SelectXml, DecoysEndInTheNamedFailure) {
  const auto with = [](const std::string& value) { return "<R><S><K>" + value + "</K></S></R>"; };
  const auto k = [](const std::string& text) { return xml_at(text, {"R", "S", "K"}); };
  EXPECT_EQ(k(with("x")), "x");
  EXPECT_EQ(k("<?xml version=\"1.0\"?>\n" + with("x") + "\n"), "x");
  EXPECT_EQ(k(with("a&amp;b")), "a&amp;b");
  EXPECT_EQ(k("<R><S><K a=\"x>y\">z</K><L><K>ATT</K></L></S></R>"), "z");
  EXPECT_EQ(k("<?n >" + with("ATT") + " ?><E><C>x</C></E>"), "! markup");
  EXPECT_EQ(k("<ok/>" + with("ATT")), "! not well formed");
  EXPECT_EQ(k("x" + with("ATT")), "! not well formed");
  EXPECT_EQ(k(with("X") + "x"), "! not well formed");
  EXPECT_EQ(k("<R><S><K>X</K></T></R>"), "! not well formed");
  EXPECT_EQ(k("<R><S><K>X</L></S></R>"), "! not well formed");
  EXPECT_EQ(k("<R><S><K>X</K></S><S/></R>"), "! twice");
  EXPECT_EQ(k("<R><S><K>X</K><K/></S></R>"), "! twice");
  EXPECT_EQ(k(with("a<b>c</b>")), "! other type");
  EXPECT_EQ(k("<R><S><!-- <K>A</K> --><K>X</K></S></R>"), "! markup");
  EXPECT_EQ(k("<Q><S><K>X</K></S></Q>"), "! not found");
  EXPECT_EQ(k("<R><S><Ks>X</Ks></S></R>"), "! not found");
}

// --- recorded answers and cases of issues ---

std::map<std::string, std::string> recorded() {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/sealed-answers.json");
  std::map<std::string, std::string> out;
  for (const auto& row : nlohmann::json::parse(in)) out[row[0]] = row[1];
  return out;
}
std::string body_of(const std::string& answer) {
  return to_text(http::parse_response(as_bytes(answer)).body);
}

TEST(SelectRecorded, FindsWhatTheFlowsAskFor) {
  auto answers = recorded();
  const std::string key = body_of(answers.at("20-iam-CreateAccessKey"));
  const std::vector<std::string> secret = {"CreateAccessKeyResponse", "CreateAccessKeyResult",
                                           "AccessKey", "SecretAccessKey"};
  EXPECT_EQ(xml_at(key, secret), "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  const auto replaced = [&](const std::string& what, const std::string& by) {
    std::string out = key;
    return out.replace(out.find(what), what.size(), by);
  };
  EXPECT_EQ(
      xml_at(replaced("<AccessKey>", "<AccessKey><!-- <SecretAccessKey>A</SecretAccessKey> -->"),
             secret),
      "! markup");
  EXPECT_EQ(xml_at(replaced("<Status>", "<SecretAccessKey>A</SecretAccessKey><Status>"), secret),
            "! twice");
  EXPECT_EQ(xml_at(key.substr(0, key.size() - 30), secret), "! not well formed");
  EXPECT_EQ(xml_at(body_of(answers.at("01e-iam-error-EntityAlreadyExists")),
                   {"ErrorResponse", "Error", "Code"}),
            "EntityAlreadyExists");
  EXPECT_EQ(xml_at(body_of(answers.at("06e-ec2-error-AuthFailure")),
                   {"Response", "Errors", "Error", "Code"}),
            "AuthFailure");
  const Path id = {"hydra:member", item_of({{{"from", "address"}, "no-reply@cloud.test"}}), "id"};
  std::string mails = body_of(answers.at("53-mailtm-messages"));
  const std::string right = json_at(mails, id);
  EXPECT_EQ(right.size(), 24u);
  mails.insert(mails.find("[{") + 1,
               "{\"id\":\"ffffffffffffffffffffffff\",\"from\":{\"address\":\"x@evil.test\"},"
               "\"subject\":\"Verification code\",\"intro\":\"code is 999999\"},");
  EXPECT_EQ(json_at(mails, id), right);
  const std::string mail = body_of(answers.at("mail/otp-escaped-text"));
  const JsonNode tree = http::read_json(mail);
  http::ClearBytes bytes(mail);
  Span text = http::select_json(tree, {"text"}, bytes).text;
  const std::string with_quote = mail.substr(text.begin, text.size() + 1);
  const auto code =
      support::find_code(with_quote, "code: \\\"", http::char_set(http::CharClass::kDigits));
  ASSERT_TRUE(code);
  EXPECT_EQ(at(with_quote, *code), "042917");
}

TEST(SelectRecorded, CookiesOfIssues) {
  auto answers = recorded();
  const auto kept = [&](const std::string& name, const std::string& cookie) {
    const std::string& text = answers.at("cookie/" + name);
    const std::string value = cookie_of(text, query_of(cookie));
    const auto fits = [](char c) { return http::char_set(http::CharClass::kCookie).contains(c); };
    return std::all_of(value.begin(), value.end(), fits) ? value : "! outside class";
  };
  EXPECT_EQ(kept("expires-comma", "id"), "a3fWa");
  EXPECT_EQ(kept("delete-then-set", "id"), "N3wV4lue");
  EXPECT_EQ(kept("suffix-prefix-decoys", "sid"), "Right1");
  EXPECT_EQ(kept("case-and-blanks", "sid"), "abc123");
  EXPECT_EQ(kept("base64-value", "sid"), "QUJD+/8==");
  EXPECT_EQ(kept("decoy-in-body-and-location", "sid"), "S3cret99");
  EXPECT_EQ(kept("json-value", "sid"), "! outside class");
  EXPECT_EQ(kept("quoted", "sid"), "! outside class");
  EXPECT_EQ(kept("half-quoted", "sid"), "! outside class");
}

}  // namespace
}  // namespace flexroom::circuits

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "circuits/header_outline.h"
#include "circuits/json_outline.h"
#include "circuits/xml_outline.h"
#include "http/header_lines.h"
#include "http/json_tree.h"
#include "http/response.h"
#include "http/text.h"
#include "http/xml_tree.h"
#include "outline_texts.h"

// Recorded answers through the circuits: header and body have the structure that the readers in the
// clear find.

namespace flexroom::circuits {
namespace {

std::vector<bool> marks_of(const mpc::Circuit& circuit, std::string_view group,
                           std::string_view text) {
  support::CircuitBatch batch(circuit);
  batch.set(0, "text", as_bytes(text));
  batch.run();
  return batch.marks(0, group, text.size(), text.size());
}

void expect_same_header(const std::string& text, const http::Response& response) {
  const mpc::Circuit circuit = header_outline_circuit(text.size());
  http::HeaderMarks marks;
  marks.line_ends = marks_of(circuit, "line_ends", text);
  marks.colons = marks_of(circuit, "colons", text);
  marks.details = marks_of(circuit, "details", text);
  marks.ends = marks_of(circuit, "ends", text);
  marks.bad = marks_of(circuit, "bad", text).back();
  const http::HeaderLines header = http::read_header_outline(marks);
  std::vector<std::pair<std::string, std::string>> fields;
  for (const http::HeaderLine& line : header.lines) {
    fields.emplace_back(at(text, line.name), http::trim_blanks(at(text, line.value)));
  }
  EXPECT_EQ(fields, response.headers);
  EXPECT_EQ(header.size, text.find("\r\n\r\n") + 4);
}

TEST(RecordedAnswers, HaveTheStructureOfTheReadersInTheClear) {
  std::ifstream in(FLEXROOM_SOURCE_DIR "/tests/vectors/sealed-answers.json");
  size_t xml = 0, json = 0, read = 0;
  for (const auto& row : nlohmann::json::parse(in)) {
    const std::string name = row[0], text = row[1];
    SCOPED_TRACE(name);
    const http::Response response = http::parse_response(as_bytes(text));
    expect_same_header(text, response);
    ++read;
    const std::string body = to_text(response.body);
    if (body.starts_with('<')) {
      const auto marks = marks_of(xml_outline_circuit(body.size()), "marks", body);
      const http::XmlOutline outline = http::read_xml_outline(body.size(), opened(body, marks));
      EXPECT_EQ(outline.elements, http::read_xml(body));
      for (const auto& [span, literal] : outline.literals) EXPECT_EQ(at(body, span), literal);
      ++xml;
    } else if (body.starts_with('{')) {
      const auto marks = marks_of(json_outline_circuit(body.size()), "marks", body);
      EXPECT_EQ(http::read_json_outline(body.size(), opened(body, marks)), http::read_json(body));
      ++json;
    }
  }
  EXPECT_GE(read, 45u);
  EXPECT_GE(xml, 20u);
  EXPECT_GE(json, 12u);
}

}  // namespace
}  // namespace flexroom::circuits

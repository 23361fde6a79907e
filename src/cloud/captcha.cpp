#include "cloud/captcha.h"

#include <openssl/rand.h>

#include <array>
#include <utility>

#include "base/error.h"

namespace flexroom::cloud {

namespace {

constexpr size_t kLetters = 6, kScale = 4, kCell = 7 * kScale, kMargin = 8;
constexpr size_t kWidth = kLetters * kCell + 2 * kMargin, kHeight = 64;

struct Glyph {
  char letter;
  std::array<uint8_t, 7> rows;  // five bits each, the highest is the left one
};

constexpr std::array<Glyph, 16> kGlyphs = {{
    {'A', {0x0e, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'C', {0x0e, 0x11, 0x10, 0x10, 0x10, 0x11, 0x0e}},
    {'E', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x1f}},
    {'F', {0x1f, 0x10, 0x10, 0x1e, 0x10, 0x10, 0x10}},
    {'H', {0x11, 0x11, 0x11, 0x1f, 0x11, 0x11, 0x11}},
    {'K', {0x11, 0x12, 0x14, 0x18, 0x14, 0x12, 0x11}},
    {'L', {0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f}},
    {'M', {0x11, 0x1b, 0x15, 0x15, 0x11, 0x11, 0x11}},
    {'P', {0x1e, 0x11, 0x11, 0x1e, 0x10, 0x10, 0x10}},
    {'T', {0x1f, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04}},
    {'V', {0x11, 0x11, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'X', {0x11, 0x11, 0x0a, 0x04, 0x0a, 0x11, 0x11}},
    {'3', {0x1f, 0x02, 0x04, 0x02, 0x01, 0x11, 0x0e}},
    {'4', {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}},
    {'7', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}},
    {'9', {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c}},
}};

uint8_t random_byte() {
  uint8_t byte = 0;
  FLEXROOM_ASSERT(RAND_bytes(&byte, 1) == 1);
  return byte;
}

/// Black and white, with some of the pixels turned over.
struct Canvas {
  Bytes rows = Bytes(kHeight * kRowBytes);
  static constexpr size_t kRowBytes = (kWidth + 7) / 8;
  void turn(size_t x, size_t y) {
    rows[y * kRowBytes + x / 8] ^= static_cast<uint8_t>(0x80 >> (x % 8));
  }
};

Bytes draw(const std::array<const Glyph*, kLetters>& letters) {
  Canvas canvas;
  for (size_t i = 0; i < kLetters; ++i) {
    const size_t left = kMargin + i * kCell + random_byte() % kScale;
    const size_t top = kMargin + random_byte() % (kHeight - 7 * kScale - 2 * kMargin);
    for (size_t y = 0; y < 7 * kScale; ++y) {
      for (size_t x = 0; x < 5 * kScale; ++x) {
        if ((letters[i]->rows[y / kScale] >> (4 - x / kScale) & 1) != 0) {
          canvas.turn(left + x, top + y);
        }
      }
    }
  }
  for (size_t i = 0; i < kWidth * kHeight / 50; ++i) {
    canvas.turn(random_byte() % kWidth, random_byte() % kHeight);
  }
  return png(kWidth, kHeight, canvas.rows);
}

/// `size` bytes of the number, the lowest first.
void put_little(Bytes& out, uint32_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}
void put_big(Bytes& out, uint32_t value) {
  for (size_t i = 4; i-- > 0;) out.push_back(static_cast<uint8_t>(value >> 8 * i));
}

/// DEFLATE (RFC 1951) in stored blocks.
void put_stored(Bytes& out, ByteView bytes) {
  do {
    const size_t size = std::min<size_t>(bytes.size(), 65535);
    out.push_back(size == bytes.size() ? 1 : 0);
    put_little(out, static_cast<uint32_t>(size), 2);
    put_little(out, ~static_cast<uint32_t>(size), 2);
    append(out, bytes.first(size));
    bytes = bytes.subspan(size);
  } while (!bytes.empty());
}

void put_chunk(Bytes& out, const char* type, ByteView data) {
  put_big(out, static_cast<uint32_t>(data.size()));
  Bytes covered;
  append(covered, as_bytes(std::string_view(type, 4)));
  append(covered, data);
  append(out, covered);
  append(out, crc32(covered));
}

}  // namespace

Bytes png(size_t width, size_t height, const Bytes& rows) {
  const size_t row_bytes = (width + 7) / 8;
  Bytes pixels;
  for (size_t y = 0; y < height; ++y) {
    pixels.push_back(0);  // no filter
    for (size_t i = 0; i < row_bytes; ++i) {
      pixels.push_back(static_cast<uint8_t>(~rows[y * row_bytes + i]));
    }
  }
  uint32_t a = 1, b = 0;  // Adler-32
  for (const uint8_t byte : pixels) {
    a = (a + byte) % 65521;
    b = (b + a) % 65521;
  }
  Bytes header, data = {0x78, 0x01};
  put_big(header, static_cast<uint32_t>(width));
  put_big(header, static_cast<uint32_t>(height));
  append(header, Bytes{1, 0, 0, 0, 0});  // one bit, grey
  put_stored(data, pixels);
  put_big(data, b << 16 | a);
  Bytes out = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  put_chunk(out, "IHDR", header);
  put_chunk(out, "IDAT", data);
  put_chunk(out, "IEND", {});
  return out;
}

std::string gzip(std::string_view text) {
  Bytes out = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
  put_stored(out, as_bytes(text));
  Bytes sum = crc32(as_bytes(text));
  out.insert(out.end(), sum.rbegin(), sum.rend());
  put_little(out, static_cast<uint32_t>(text.size()), 4);
  return to_text(out);
}

std::string Captchas::make(const Visit& visit, std::time_t now) {
  std::array<const Glyph*, kLetters> letters{};
  One one;
  for (const Glyph*& letter : letters) {
    letter = &kGlyphs[random_byte() % kGlyphs.size()];
    one.answer += letter->letter;
  }
  one.image = "data:image/png;base64," + base64(draw(letters));
  const std::string answer = one.answer;
  const std::string id = all_.add(std::move(one), now);
  visit.gave("captcha answer", answer, id);
  return id;
}

Response Captchas::image(const std::string& id, unsigned lifetime_s, std::time_t now) {
  const One* const one = all_.find(id, lifetime_s, now);
  if (one == nullptr) throw ApiError(404, "NoSuchCaptcha", "There is no such picture any more.");
  return json_answer(200, {{"id", id}, {"image", one->image}});
}

bool Captchas::solve(const std::string& id, const std::string& answer, unsigned lifetime_s,
                     std::time_t now) {
  const auto one = all_.take(id, lifetime_s, now);
  return one && iequals(one->answer, answer);
}

void Captchas::redeem(const Visit& visit, std::string& held, unsigned lifetime_s, std::time_t now) {
  const Fields in = visit.form({"id", "answer"});
  const std::string id = std::exchange(held, "");
  if (id.empty() || id != in.at("id") || !solve(id, in.at("answer"), lifetime_s, now)) {
    throw ApiError(400, "BadCaptcha", "The answer is wrong or late.");
  }
}

}  // namespace flexroom::cloud

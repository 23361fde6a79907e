#include "arith/dh_online.h"

#include "arith/coefficients.h"
#include "arith/open.h"
#include "base/codec.h"
#include "base/ct.h"

namespace flexroom::arith {
namespace {

constexpr std::string_view kPointLabel = "arith/dh/Z";
constexpr std::string_view kOpenLabel = "arith/dh/open";
constexpr size_t kPointMessage = 32 + 64 + 32;  // csid, Z, view

/// The state of the two rounds: own point, received points, view.
template <typename G>
class Conversion {
 public:
  using F = typename G::Field;
  using Point = typename G::Point;

  Conversion(net::Party& party, GroupTokenSecrets<G>& secrets, const Point& server,
             const Digest& view)
      : party_(party), secrets_(secrets), view_(view), points_(party.num_parties()) {
    Point own = math::add_points<G>(math::multiply<G>(secrets.scalar, server),
                                    math::negate<G>(secrets.mask));
    if (own.infinity) {  // k_i S = R_i: probability 2^-250
      throw ProtocolAbort(AbortCode::kCancelled, kPointLabel, "the masked point is neutral");
    }
    points_[party.id()] = own;
  }

  void send_point() {
    Writer message;
    Bytes point;
    math::append_point<G>(point, points_[party_.id()]);
    message.raw(party_.scope().csid).raw(point).raw(view_);
    party_.broadcast(kPointLabel, message.bytes());
  }

  void receive_point(PartyId j) {
    const Bytes message = party_.receive_broadcast(j, kPointLabel, kPointMessage);
    Reader reader(message, kPointLabel, j);
    require_csid(reader, kPointLabel, j);
    const ByteView point = reader.raw(64);
    require_view(reader.digest(), view_, kPointLabel, j);
    const auto z = math::parse_point<G>(std::span<const uint8_t, 64>(point));
    if (!z) {
      throw ProtocolAbort(AbortCode::kFpKeyShare, kPointLabel,
                          "the masked point is not canonical or not on the curve", j);
    }
    points_[j] = *z;
  }

  /// All points are here: fixes the two values to open.
  void combine() {
    Point z = Point::neutral();
    RandomOracle next("view", party_.scope());
    next.field(view_).field(kPointLabel);
    for (const Point& p : points_) {
      z = math::add_points<G>(z, p);
      Bytes bytes;
      math::append_point<G>(bytes, p);
      next.field(ByteView(bytes));
    }
    if (z.infinity) {
      throw ProtocolAbort(AbortCode::kFpKeyShare, kPointLabel,
                          "the masked points add up to the neutral point");
    }
    agreed_view_ = next.digest();
    const ConversionCoefficients<G> c(z);
    const size_t n = party_.num_parties();
    opened_.assign(2, AuthValue<F>(n));
    for (size_t m = 0; m < kMonomials; ++m) {
      opened_[0] += secrets_.monomials[m] * c.delta[m];
      opened_[1] += secrets_.monomials[m] * c.eps[m];
    }
    opening_.emplace(party_, secrets_.gamma, opened_, kOpenLabel);
  }

  void send_opening(PartyId j) {
    Writer message;
    message.raw(party_.scope().csid).raw(opening_->message_to(j)).raw(agreed_view_);
    party_.send(j, kOpenLabel, message.bytes());
  }

  void receive_opening(PartyId j) {
    const Bytes message = party_.receive(j, kOpenLabel, 64 + opening_->message_bytes());
    Reader reader(message, kOpenLabel, j);
    require_csid(reader, kOpenLabel, j);
    const ByteView shares = reader.raw(opening_->message_bytes());
    require_view(reader.digest(), agreed_view_, kOpenLabel, j);
    opening_->accept(j, shares);
  }

  std::vector<uint8_t> result() const {
    const std::vector<F> v = opening_->result();
    if (v[0].is_zero()) {
      throw ProtocolAbort(AbortCode::kServer, kOpenLabel,
                          "the masked sum is degenerate, the connection has to be tried again");
    }
    return canonical_bits(v[1] * v[0].inverse());
  }

 private:
  void require_csid(Reader& reader, std::string_view label, PartyId j) const {
    if (reader.digest() != party_.scope().csid) {
      throw ProtocolAbort(AbortCode::kViewMismatch, label, "a message of another connection", j);
    }
  }
  static void require_view(const Digest& got, const Digest& want, std::string_view label,
                           PartyId j) {
    if (!ct_equal(got, want)) {
      throw ProtocolAbort(AbortCode::kViewMismatch, label,
                          "that member saw other messages of the connection", j);
    }
  }

  net::Party& party_;
  GroupTokenSecrets<G>& secrets_;
  Digest view_;           // before this step
  Digest agreed_view_{};  // with all Z_i
  std::vector<Point> points_;
  Values<F> opened_;
  std::optional<Opening<F>> opening_;
};

}  // namespace

template <typename G>
ConversionCoefficients<G>::ConversionCoefficients(const typename G::Point& z) {
  using F = typename G::Field;
  const F& x = z.x;
  const F xx = x.square();
  const F zero;
  const F one = F::one();
  delta = {xx, -x.doubled(), one, zero, zero, zero, zero};
  eps = {G::kA4 * x + G::kA6.doubled(),
         G::kA4 + xx + (G::kA2 * x).doubled(),
         x,
         -z.y.doubled(),
         xx,
         -x.doubled(),
         one};
}

template <typename G>
std::vector<uint8_t> convert_online(net::Party& party, GroupTokenSecrets<G>& secrets,
                                    const typename G::Point& server, const Digest& view,
                                    const std::function<void()>& agreed) {
  Conversion<G> run(party, secrets, server, view);
  const auto agree = [&] {
    if (agreed) agreed();
  };
  if (party.num_parties() == 2) {
    // Party 1 relays the server's bytes and speaks first; every later message answers one whose
    // view was compared, so that no share leaves before A1 holds (§7.3, m1 .. m3).
    if (party.id() == 1) {
      run.send_point();
      run.receive_point(0);
      run.combine();
      run.receive_opening(0);
      agree();
      run.send_opening(0);
    } else {
      run.receive_point(1);
      run.combine();
      agree();
      run.send_point();  // the other view was compared
      run.send_opening(1);
      run.receive_opening(1);
    }
    return run.result();
  }
  run.send_point();
  for (const PartyId j : party.peers()) run.receive_point(j);
  party.echo(kPointLabel, AbortCode::kViewMismatch);
  run.combine();
  agree();
  for (const PartyId j : party.peers()) run.send_opening(j);
  for (const PartyId j : party.peers()) run.receive_opening(j);
  return run.result();
}

#define FLEXROOM_INSTANTIATE_DH(G)                                                    \
  template struct ConversionCoefficients<G>;                                          \
  template std::vector<uint8_t> convert_online<G>(net::Party&, GroupTokenSecrets<G>&, \
                                                  const G::Point&, const Digest&,     \
                                                  const std::function<void()>&);
FLEXROOM_INSTANTIATE_DH(math::X25519Group)
FLEXROOM_INSTANTIATE_DH(math::P256Group)

}  // namespace flexroom::arith

#pragma once

#include <openssl/bio.h>

#include <array>
#include <memory>

#include "base/bytes.h"

namespace flexroom::net {

/// What stands between a TLS object and its socket: records are read ahead and gathered, so that
/// one system call moves up to kBytes and not one record.
///
/// Threads   one; the socket is non-blocking and outlives this object
class SocketBuffer {
 public:
  static constexpr size_t kBytes = size_t{128} << 10;

  explicit SocketBuffer(int fd);
  SocketBuffer(const SocketBuffer&) = delete;
  SocketBuffer& operator=(const SocketBuffer&) = delete;

  /// A new BIO over this object, which must outlive it.
  BIO* make_bio();

  bool has_output() const { return sent_ < out_.size(); }
  /// No record more fits before a flush().
  bool full() const { return out_.size() - sent_ >= kBytes; }
  /// What was gathered, to the socket. Returns the bytes that left; 0 when the socket takes no more
  /// now, -1 with errno on an error.
  ssize_t flush();

 private:
  static const BIO_METHOD* method();
  static int read(BIO* bio, char* to, int size);
  static int write(BIO* bio, const char* from, int size);
  static long control(BIO* bio, int command, long number, void* pointer);

  int fd_;
  bool eof_ = false;
  Bytes in_, out_;
  size_t in_begin_ = 0, in_end_ = 0, sent_ = 0;
};

}  // namespace flexroom::net

// The routes of /v1/chats: conversations that the web page keeps on the server, by owner.
#ifndef LINNET_SERVER_CHATS_H_
#define LINNET_SERVER_CHATS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "server/router.h"

namespace linnet {

struct ChatStoreOptions {
  std::filesystem::path folder{};  // for chats.sqlite; empty: in memory only
  // Nothing is dropped to make room: what is more is refused.
  size_t chat_bytes = size_t{8} << 20;
  uint64_t owner_bytes = uint64_t{128} << 20;
  uint64_t owner_chats = 10'000;
  uint64_t total_bytes = uint64_t{2} << 30;
};

// Thread-safe. Reads and writes happen on a thread of its own, in order.
class ChatStore {
 public:
  // Throws Error kIo if the folder cannot be made or the file cannot be opened.
  explicit ChatStore(const ChatStoreOptions& options);
  ~ChatStore();  // after all writes
  ChatStore(const ChatStore&) = delete;
  ChatStore& operator=(const ChatStore&) = delete;

 private:
  friend void AddChatStoreRoutes(Router& router, std::shared_ptr<ChatStore> store);
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// GET /v1/chats; GET, PUT and DELETE /v1/chats/{id}.
//
// A chat is any JSON object with a title and a revision, which is a number that grows. PUT names
// the revision that it replaces, 0 for a new chat; if another device was faster, it gets 409 and
// has to merge. Ids of another owner are as unknown as ids that never were.
void AddChatStoreRoutes(Router& router, std::shared_ptr<ChatStore> store);

}  // namespace linnet

#endif  // LINNET_SERVER_CHATS_H_

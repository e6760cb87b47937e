// GrammarStore: the grammars of recent requests. A client sends the same tools with every turn.
// Keys should begin with the owner, who could otherwise tell by the time what others asked for.
#ifndef LINNET_SERVER_GRAMMAR_STORE_H_
#define LINNET_SERVER_GRAMMAR_STORE_H_

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace linnet {

class Grammar;

// Thread-safe.
class GrammarStore {
 public:
  using Shared = std::shared_ptr<const Grammar>;

  // The grammar that `make` gives, or gave for this key. Throws what `make` throws; keeps nothing
  // then. Two threads may make the same grammar at once.
  Shared Find(const std::string& key, const std::function<Shared()>& make);

 private:
  static constexpr size_t kMost = 64;

  std::mutex mutex_;
  std::list<std::pair<std::string, Shared>> recent_;  // the latest first
};

}  // namespace linnet

#endif  // LINNET_SERVER_GRAMMAR_STORE_H_

// Shared by the fuzz targets of grammars: a text that the input's bytes choose, and the laws that
// hold on the way.
#ifndef LINNET_FUZZ_WALK_GRAMMAR_H_
#define LINNET_FUZZ_WALK_GRAMMAR_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "grammar/test_constraints.h"

namespace linnet {

// Returns the text if it is complete. Throws Error if the grammar is too ambiguous.
inline bool WalkGrammar(const std::shared_ptr<const Grammar>& grammar, std::string_view choices,
                        std::string& text) {
  Constraint constraint(grammar, TestTrie());
  text.clear();
  for (size_t step = 0; step < 20 && !constraint.must_end(); ++step) {
    const std::vector<int32_t> ids = AllowedIds(constraint.Mask());
    // No dead ends: each byte is a token.
    LINNET_CHECK(!ids.empty());
    const auto choice = static_cast<uint8_t>(choices.empty() ? 0 : choices[step % choices.size()]);
    if (constraint.may_end() && choice % 5 == 0) break;
    const int32_t id = ids[(choice * 7 + step) % ids.size()];
    LINNET_CHECK(constraint.Allows(id));
    text += constraint.trie().bytes(id);
    constraint.Accept(id);
  }
  if (!constraint.may_end()) return false;
  Constraint whole(grammar, TestTrie());
  LINNET_CHECK(whole.AcceptBytes(text) && whole.may_end());
  return true;
}

}  // namespace linnet

#endif  // LINNET_FUZZ_WALK_GRAMMAR_H_

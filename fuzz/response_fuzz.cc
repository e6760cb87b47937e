// Bodies of POST /v1/responses, and the items that become messages.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz_target.h"
#include "linnet/error.h"
#include "server/json_fields.h"
#include "server/response_items.h"
#include "server/response_request.h"

LINNET_FUZZ_TARGET(response) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  try {
    linnet::ResponseRequest request = linnet::ParseResponse(linnet::ParseBody(body));
    linnet::ResolveItems(request.items, {}, [](const std::string& id) {
      linnet::ResponseOfItem(id);
      return linnet::Json{{"type", "message"}, {"id", id}, {"role", "user"}};
    });
    const std::vector<linnet::Json> before(request.items.begin(), request.items.end());
    linnet::MessagesFor(request, before);
    linnet::Dump(request.echo);
  } catch (const linnet::Error&) {
    return;
  }
}

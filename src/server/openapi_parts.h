// Parts of the description of the routes: each is JSON, an object with `paths`,
// `schemas` and, in some, `parameters`. In `paths`, "200" may be the name of a schema, and errors
// are added to every operation: of the schema `x-errors`, else Error. `x-streams` is true for
// events, or the type of a stream's content.
#ifndef LINNET_SERVER_OPENAPI_PARTS_H_
#define LINNET_SERVER_OPENAPI_PARTS_H_

namespace linnet {

extern const char kOpenApiChat[];
extern const char kOpenApiCompletions[];
extern const char kOpenApiLlama[];
extern const char kOpenApiResponses[];
extern const char kOpenApiScoring[];
extern const char kOpenApiOther[];
extern const char kOpenApiStates[];
extern const char kOpenApiAnthropic[];
extern const char kOpenApiOllama[];

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAPI_PARTS_H_

// Parts of the description of the routes: each is JSON, an object with `paths`,
// `schemas` and, in one of them, `parameters`. In
// `paths`, "200" may be the name of a schema, and errors are added to every operation.
#ifndef LINNET_SERVER_OPENAPI_PARTS_H_
#define LINNET_SERVER_OPENAPI_PARTS_H_

namespace linnet {

extern const char kOpenApiChat[];
extern const char kOpenApiCompletions[];
extern const char kOpenApiResponses[];
extern const char kOpenApiOther[];

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAPI_PARTS_H_

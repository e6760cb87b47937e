#include "grammar/json_numbers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "grammar/grammar.h"
#include "grammar/test_constraints.h"

namespace linnet {
namespace {

using Json = nlohmann::ordered_json;

Json Bounds(const char* type, const char* least_key, double least, const char* most_key,
            double most) {
  Json schema = {{"type", type}};
  const auto number = [](double x) { return std::floor(x) == x ? Json(std::int64_t(x)) : Json(x); };
  if (!std::isnan(least)) schema[least_key] = number(least);
  if (!std::isnan(most)) schema[most_key] = number(most);
  return schema;
}

TEST(JsonNumbersTest, DecimalsAreReadExactly) {
  const auto text = [](const Json& number) {
    const auto d = Decimal::Of(number);
    return d ? fmt::format("{}{}.{}", d->negative ? "-" : "", d->whole, d->fraction) : "none";
  };
  EXPECT_EQ(text(0), "0.");
  EXPECT_EQ(text(-0.0), "0.");
  EXPECT_EQ(text(-12.5), "-12.5");
  EXPECT_EQ(text(1e20), "100000000000000000000.");
  EXPECT_EQ(text(1.5e-7), "0.00000015");
  EXPECT_EQ(text(18446744073709551615u), "18446744073709551615.");
  EXPECT_EQ(text(1e300), "none");
}

// Between all pairs of bounds, at them and around them.
TEST(JsonNumbersTest, IntegersAreThoseWithinTheBounds) {
  const double none = std::nan("");
  for (const double least :
       {none, -1234.0, -100.0, -1.0, -0.5, 0.0, 0.5, 7.0, 99.0, 100.0, 995.0}) {
    for (const double most : {none, -1000.0, -7.0, -0.5, 0.0, 1.0, 9.0, 10.0, 105.5, 1000.0}) {
      for (const bool excluded : {false, true}) {
        const Json schema = Bounds("integer", excluded ? "exclusiveMinimum" : "minimum", least,
                                   excluded ? "exclusiveMaximum" : "maximum", most);
        std::shared_ptr<const Grammar> grammar;
        try {
          grammar = Grammar::FromJsonSchema(schema.dump(), "s");
        } catch (const std::exception&) {
        }
        for (const int x :
             {-1235, -1234, -1233, -1001, -1000, -999, -101, -100, -99, -10,  -8,  -7, -6,
              -2,    -1,    0,     1,     2,     6,    7,    8,    9,   10,   11,  98, 99,
              100,   101,   104,   105,   106,   994,  995,  996,  999, 1000, 1001}) {
          const bool above = std::isnan(least) || (excluded ? x > least : x >= least);
          const bool below = std::isnan(most) || (excluded ? x < most : x <= most);
          const bool matches = grammar != nullptr && Matches(grammar, std::to_string(x));
          EXPECT_EQ(matches, above && below) << schema << ' ' << x;
        }
      }
    }
  }
  const auto any = Grammar::FromJsonSchema(R"({"type":"integer"})", "s");
  EXPECT_FALSE(Matches(any, "007"));
  EXPECT_FALSE(Matches(any, "1.5"));
  EXPECT_TRUE(Matches(any, "999999999999999999"));
  EXPECT_FALSE(Matches(any, "1000000000000000000"));
}

TEST(JsonNumbersTest, NumbersWithinBoundsAreWithinThemAsDoublesToo) {
  std::mt19937 random(1);
  const double bounds[] = {std::nan(""), -2000.25, -3.5, -1, -0.001, 0, 0.3, 1, 2.75, 99.99, 1e6};
  for (const double least : bounds) {
    for (const double most : bounds) {
      if (least > most) continue;
      for (const bool excluded : {false, true}) {
        if (excluded && least == most) continue;
        const Json schema = Bounds("number", excluded ? "exclusiveMinimum" : "minimum", least,
                                   excluded ? "exclusiveMaximum" : "maximum", most);
        const auto grammar = Grammar::FromJsonSchema(schema.dump(), "s");
        for (int i = 0; i < 20; ++i) {
          const auto [ended, text] = RandomText(Constraint(grammar, TestTrie()), random);
          ASSERT_TRUE(ended) << schema << text;
          ASSERT_TRUE(Json::accept(text)) << schema << text;
          const double x = Json::parse(text).get<double>();
          if (!std::isnan(least)) {
            EXPECT_TRUE(excluded ? x > least : x >= least) << schema << text;
          }
          if (!std::isnan(most)) {
            EXPECT_TRUE(excluded ? x < most : x <= most) << schema << text;
          }
        }
        for (const char* const text : {"-2000.25", "-2000.250", "-2000.2501", "-1", "-1.0",
                                       "-0.0005", "0", "0.0", "0.3", "0.30", "0.31", "0.29", "2.75",
                                       "2.750001", "99.989", "1000000", "1000000.0", "1000000.5"}) {
          const double x = std::stod(text);
          const bool above = std::isnan(least) || (excluded ? x > least : x >= least);
          const bool below = std::isnan(most) || (excluded ? x < most : x <= most);
          EXPECT_EQ(Matches(grammar, text), above && below) << schema << ' ' << text;
        }
      }
    }
  }
}

}  // namespace
}  // namespace linnet

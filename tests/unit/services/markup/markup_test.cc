#include "services/markup/markup.h"

#include <gtest/gtest.h>

#include "services/markup/svg.h"

namespace backfire::markup {
namespace {

TEST(EscapedTest, LeavesTextAndNothingElse) {
  EXPECT_EQ(Escaped("a < b && c > \"d\""), "a &lt; b &amp;&amp; c &gt; &quot;d&quot;");
  // XML 1.0 has no place for control characters; a line end stays one, in an attribute too.
  EXPECT_EQ(Escaped("one\ntwo\x01\x7f\t."), "one&#10;two   .");
  EXPECT_EQ(Escaped("\xc3\xa9\xe2\x82\xac"), "\xc3\xa9\xe2\x82\xac");
}

TEST(MarkupTest, WritesElementsOneInAnother) {
  Markup to;
  to.Open("p", {{"class", "a\"b"}, {"id", ""}}).Text("<script>");
  to.Element("b", {}, "bold").Empty("br").Written("&amp;").Close().Line();
  EXPECT_EQ(to.Take(), "<p class=\"a&quot;b\">&lt;script&gt;<b>bold</b><br/>&amp;</p>\n");
}

TEST(PathTest, MovesOnlyWhereThePenIsNot) {
  Path path;
  path.Move(1, 2).Line(3, 4).Move(3, 4).Line(5, 6).Dot(7, 8).Move(7, 8).Curve(1, 1, 2, 2, 3, 3);
  EXPECT_EQ(path.text(), "M1.0 2.0L3.0 4.0L5.0 6.0M7.0 8.0h0M7.0 8.0C1.0 1.0 2.0 2.0 3.0 3.0");
  EXPECT_EQ(Path().Square(10, 10, 4).text(), "M10.0 10.0m-2.0 -2.0h4.0v4.0h-4.0z");
  EXPECT_TRUE(Path().empty());
}

TEST(OpenDrawingTest, IsADocumentOrPartOfAPage) {
  Markup document, part;
  OpenDrawing(document, 10, 20, /*standalone=*/true);
  document.Close();
  EXPECT_EQ(
      document.Take(),
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10.0\" height=\"20.0\" viewBox=\"0 0 "
      "10.0 20.0\"></svg>");
  OpenDrawing(part, 10, 20, /*standalone=*/false, "plot", "What it shows");
  part.Close();
  EXPECT_EQ(part.Take(),
            "<svg width=\"10.0\" height=\"20.0\" viewBox=\"0 0 10.0 20.0\" class=\"plot\" "
            "role=\"img\" aria-label=\"What it shows\"></svg>");
}

}  // namespace
}  // namespace backfire::markup

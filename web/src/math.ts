// KaTeX as MathML, which browsers draw themselves: no fonts, no styles. Fetched only when needed.

import katex from "katex";

export const renderMath = (source: string, display: boolean): string =>
  katex.renderToString(source, {
    output: "mathml", displayMode: display, throwOnError: false, trust: false, strict: false, maxExpand: 200, maxSize: 20,
  });

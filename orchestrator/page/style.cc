#include "orchestrator/page/style.h"

namespace backfire::page {

const char kStyle[] = R"css(
:root{--bg:#fff;--fg:#1a1f26;--muted:#5a6572;--line:#d5dbe2;--panel:#f5f7f9;--band:#e4ebf3;--link:#0a53c1;
--blocks:#b3261e;--open:#8a5300;--waived:#6b3fb5;--within:#4a5a6a;--passes:#2f6690;--better:#0b6e63;--advisory:#6b7682;--unjudged:#8b95a1;
--blocks-bg:#fdecea;--open-bg:#fdf3e0;--waived-bg:#f3edfc;--better-bg:#e6f4f1}
@media (prefers-color-scheme:dark){:root{--bg:#101418;--fg:#e7eaee;--muted:#a3aeba;--line:#2f3842;--panel:#181e25;--band:#222d39;--link:#8ab8ff;
--blocks:#ff8f85;--open:#f0bd55;--waived:#c8a9ff;--within:#b4c0cc;--passes:#8fc1ea;--better:#6fd3c4;--advisory:#97a3af;--unjudged:#7d8894;
--blocks-bg:#341a18;--open-bg:#332711;--waived-bg:#281f3a;--better-bg:#112c29}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","DejaVu Sans",Arial,sans-serif}
main,footer{max-width:1120px;margin:0 auto;padding:0 24px}
main{padding-top:28px}
footer{color:var(--muted);font-size:13px;padding-top:24px;padding-bottom:40px}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--link);outline-offset:2px;border-radius:3px}
h1,h2,h3{line-height:1.2;margin:0}
h2{font-size:22px;margin-bottom:8px}
h3{font-size:17px;margin:22px 0 6px}
section{border-top:1px solid var(--line);margin-top:36px;padding-top:26px;scroll-margin-top:8px}
p{margin:0 0 12px}
.lead{color:var(--muted);max-width:84ch;margin-bottom:16px}
.note{color:var(--muted);font-size:14px;margin-top:12px}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:13px;overflow-wrap:anywhere}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:10px 14px;overflow-x:auto;margin:8px 0 16px;white-space:pre-wrap}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.skip{position:absolute;left:-999px}
.skip:focus{left:16px;top:12px;background:var(--bg);padding:6px 12px;z-index:2}
.symbols{position:absolute;width:0;height:0}
.symbol{width:1.05em;height:1.05em;flex:none;vertical-align:-.16em}
.blocks{--c:var(--blocks);--cb:var(--blocks-bg)}.open{--c:var(--open);--cb:var(--open-bg)}.waived{--c:var(--waived);--cb:var(--waived-bg)}
.within{--c:var(--within);--cb:var(--panel)}.passes{--c:var(--passes);--cb:var(--panel)}.better{--c:var(--better);--cb:var(--better-bg)}
.advisory{--c:var(--advisory);--cb:var(--panel)}.unjudged{--c:var(--unjudged);--cb:var(--bg)}
.symbol,.badge,.box use{color:var(--c)}
.badge{display:inline-flex;gap:.4em;align-items:center;font-weight:600;font-size:14px;white-space:nowrap}
.verdict{display:flex;gap:22px;align-items:flex-start;background:var(--cb);border:1px solid var(--c);border-left-width:8px;border-radius:10px;padding:24px 26px}
.verdict>.symbol{width:60px;height:60px;margin-top:2px}
.verdict h1,.verdict h2{font-size:34px;color:var(--c);margin:0 0 8px}
.verdict small{font:600 13px ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;color:var(--fg);border:1px solid var(--c);border-radius:4px;padding:2px 8px;vertical-align:middle;margin-left:8px;white-space:nowrap}
.plain-words{font-size:19px;line-height:1.45;max-width:64ch;margin:0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(210px,1fr));gap:14px;margin:18px 0 0}
.tiles>div{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:12px 16px}
.tiles dt{color:var(--muted);font-size:13px}
.tiles dd{margin:2px 0 0;font-size:13.5px;line-height:1.4;overflow-wrap:anywhere}
.tiles strong{display:block;font-size:20px;line-height:1.3}
.notes{margin:16px 0 0;padding-left:20px;color:var(--muted);font-size:14px}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:4px 20px;margin:22px 0 0;padding:0;font-size:15px}
.wide{overflow-x:auto;padding:4px 0 8px}
.graph{display:block}
.graph text{font-size:13px;fill:var(--fg)}
.graph .name{font-weight:600}
.graph .word{font-size:12px;fill:var(--c)}
.graph rect{fill:var(--cb);stroke:var(--c);stroke-width:1.5}
.graph .candidate rect{stroke-width:3.5}
.graph .folded rect{stroke-dasharray:5 4}
.graph .open rect{stroke-dasharray:2 3}
.graph .unjudged rect{stroke-width:1}
.graph a:hover .name,.graph a:focus .name{text-decoration:underline}
.edge{fill:none;stroke:var(--muted);stroke-width:1.3;opacity:.75}
.chips{list-style:none;display:flex;flex-wrap:wrap;gap:6px 10px;padding:0;margin:12px 0;font-size:13px}
.chip{display:inline-flex;align-items:center;gap:5px;color:var(--fg);text-decoration:none;border:1px solid var(--line);border-radius:4px;padding:1px 8px}
.chip:hover{text-decoration:underline}
details{margin-top:16px}
summary{cursor:pointer;padding:6px 0}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;vertical-align:top;padding:8px 14px 8px 0;font-weight:400}
thead td{border-bottom:1px solid var(--line)}
thead th{color:var(--muted);font-size:13px;vertical-align:bottom;border-bottom:1px solid var(--line);background:var(--bg)}
tbody tr{border-bottom:1px solid var(--line)}
.number{text-align:right;font-variant-numeric:tabular-nums}
td.number{white-space:nowrap}
.evidence th[scope=row]{width:230px;padding-right:16px}
.vertex{font-weight:600;overflow-wrap:anywhere}
.again{color:var(--muted);font-weight:400}
.tag{display:inline-block;font-size:12px;border:1px solid var(--fg);border-radius:3px;padding:0 6px;margin-left:8px}
.loss{display:block;color:var(--muted);overflow-wrap:anywhere}
.why{display:block;color:var(--muted);font-size:13px;white-space:normal}
.bounds{display:block;color:var(--muted);font-size:13px}
.evidence .axis{width:420px;padding:0;-webkit-print-color-adjust:exact;print-color-adjust:exact}
.evidence td.axis{background:linear-gradient(to right,transparent var(--zero),var(--fg) var(--zero),var(--fg) calc(var(--zero) + 1px),var(--band) calc(var(--zero) + 1px),var(--band) var(--margin),var(--muted) var(--margin),var(--muted) calc(var(--margin) + 1px),transparent calc(var(--margin) + 1px))}
.evidence td.axis svg,.ticks{display:block;width:100%;height:auto;margin-top:8px}
.evidence .ticks{margin:0}
.evidence td.pairs{padding:8px 10px 4px 18px}.evidence .pairs{padding-left:18px;width:120px}
.evidence tbody:target,.evidence tbody:target th{background:var(--panel)}
.plot .whisker{fill:none;stroke:var(--c);stroke-width:2}
.plot .estimate{fill:var(--c);stroke:var(--bg);stroke-width:1}
.plot.open .estimate,.plot.advisory .estimate{fill:var(--bg);stroke:var(--c);stroke-width:2}
.plot .seed{fill:var(--bg);stroke:var(--c);stroke-width:1.2}
.ticks text{font-size:11.5px;fill:var(--muted);text-anchor:middle}
.ticks .side{font-size:11px;font-style:italic;text-anchor:start}.ticks .end{text-anchor:end}
.ticks path{stroke:var(--muted);fill:none}
.pair{fill:none;stroke:var(--c);stroke-width:1;opacity:.65}
.ends{fill:none;stroke:var(--c);stroke-width:5;stroke-linecap:round}
.mean{fill:none;stroke:var(--c);stroke-width:2.5}
.swap .pair{opacity:.35}
.group th{font-weight:600;padding-top:16px}
.narrow{width:auto;min-width:min(640px,100%)}
.bar{vertical-align:middle}
.bar path{stroke:var(--muted)}
.bar .more{fill:var(--within)}.bar .less{fill:none;stroke:var(--within)}.bar .cause{fill:var(--blocks)}
tr.cause th{font-weight:600}
.figures{display:flex;flex-wrap:wrap;gap:18px 26px}
.pictures figcaption{max-width:none}.pictures img{max-width:100%;height:auto;border-radius:4px}.pictures figure{margin:10px 0 18px}
figure{margin:0}figcaption{font-size:13px;color:var(--muted);max-width:240px;overflow-wrap:anywhere}
.curve .frame{fill:none;stroke:var(--line)}.curve .line{fill:none;stroke:var(--passes);stroke-width:1.5}
.curve text{font-size:11px;fill:var(--muted)}
.facts{display:grid;grid-template-columns:minmax(120px,max-content) 1fr;gap:4px 24px;margin:0 0 12px;font-size:14px}
.facts dt{color:var(--muted)}.facts dd{margin:0;overflow-wrap:anywhere}
.steps{padding-left:22px;max-width:80ch}.steps li{margin-bottom:10px}.steps li::marker{font-weight:600}
article{border-top:3px solid var(--fg);margin-top:56px;padding-top:20px}
.of{font:600 22px/1.2 inherit;font-size:22px;font-weight:600}
@media screen and (max-width:820px){
.narrow{min-width:0;width:100%}
main,footer{padding-left:16px;padding-right:16px}
.verdict{padding:18px;gap:14px}.verdict>.symbol{width:36px;height:36px}.verdict h1,.verdict h2{font-size:26px}.plain-words{font-size:17px}
.verdict small{display:inline-block;margin-left:0}
.tiles{grid-template-columns:1fr 1fr;gap:10px}.tiles>div{padding:10px 12px}
.evidence,.evidence tbody,.plain,.plain tbody{display:block}
.evidence thead,.evidence thead tr{display:block}
.evidence thead th{display:none}.evidence thead th.axis{display:block;width:100%;border:0}
.plain thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
.evidence tr,.plain tbody tr{display:grid;grid-template-columns:1fr 1fr;gap:4px 14px;padding:12px 0}
.evidence tbody th,.evidence td.axis{grid-column:1/-1;width:100%;padding:0}
.evidence td,.plain td,.plain th{padding:0;width:auto;text-align:left}
.evidence .pairs{padding:0}
.plain tbody th,.plain td:last-child:nth-child(n+5){grid-column:1/-1}
td.number{white-space:normal}
td[data-label]::before{content:attr(data-label) ": ";color:var(--muted);font-size:13px}
td:empty{display:none}
.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:8px}
}
@media print{
:root{--bg:#fff;--fg:#000;--muted:#444;--line:#bbb;--panel:#fff;--band:#e3e3e3;--link:#000;--blocks:#900;--open:#630;--waived:#427;--within:#333;--passes:#135;--better:#054;--advisory:#444;--unjudged:#666;
--blocks-bg:#fff;--open-bg:#fff;--waived-bg:#fff;--better-bg:#fff}
body{font-size:11pt}main,footer{max-width:none;padding:0}nav,.skip{display:none}
.wide{overflow:visible}.graph{max-width:100%;height:auto}
tr,figure,.tiles>div,.verdict{break-inside:avoid}h2,h3,summary{break-after:avoid}thead{display:table-header-group}
details::details-content{content-visibility:visible;block-size:auto}
a{text-decoration:none}section{margin-top:20px;padding-top:14px}
.lead,.plain-words,.steps{max-width:none}.tiles{grid-template-columns:repeat(4,1fr)}
table{font-size:8.5pt}th,td{padding:5px 8px 5px 0}td.number{white-space:normal}
.evidence .axis{width:215px}.evidence th[scope=row]{width:125px;padding-right:8px}
.evidence .pairs,.evidence td.pairs{width:78px;padding-left:8px;padding-right:6px}
.pairs svg,.swap{width:100%;height:auto;max-width:150px}
.badge,.tag{font-size:8.5pt}.bounds,.why{font-size:7.5pt}thead th{font-size:8.5pt}
}
)css";

const char kSymbols[] =
    R"svg(<svg class="symbols" aria-hidden="true"><defs>
<symbol id="symbol-blocks" viewBox="0 0 18 18"><path d="M5.6 1h6.8L17 5.6v6.8L12.4 17H5.6L1 12.4V5.6z" fill="currentColor"/><path d="M6 6l6 6M12 6l-6 6" stroke="var(--bg)" stroke-width="2.2" stroke-linecap="round"/></symbol>
<symbol id="symbol-open" viewBox="0 0 18 18"><path d="M9 1.2L16.8 9 9 16.8 1.2 9z" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linejoin="round"/><path d="M7.2 7.4c0-2.4 3.6-2.4 3.6 0 0 1.5-1.8 1.4-1.8 3M9 12.4v.1" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round"/></symbol>
<symbol id="symbol-waived" viewBox="0 0 18 18"><rect x="2" y="2" width="14" height="14" rx="2" fill="none" stroke="currentColor" stroke-width="1.8"/><path d="M5 13L13 5" stroke="currentColor" stroke-width="1.8" stroke-linecap="round"/></symbol>
<symbol id="symbol-within" viewBox="0 0 18 18"><circle cx="9" cy="9" r="7.4" fill="none" stroke="currentColor" stroke-width="1.8"/><path d="M9 5v8M5.8 9.8L9 13l3.2-3.2" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></symbol>
<symbol id="symbol-passes" viewBox="0 0 18 18"><circle cx="9" cy="9" r="7.4" fill="none" stroke="currentColor" stroke-width="1.8"/><path d="M5.4 9.3l2.6 2.6 4.8-5.4" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"/></symbol>
<symbol id="symbol-better" viewBox="0 0 18 18"><circle cx="9" cy="9" r="8.2" fill="currentColor"/><path d="M5.2 9.3l2.7 2.7 5-5.6" fill="none" stroke="var(--bg)" stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></symbol>
<symbol id="symbol-advisory" viewBox="0 0 18 18"><circle cx="9" cy="9" r="7.4" fill="none" stroke="currentColor" stroke-width="1.6" stroke-dasharray="2.6 2.2"/><circle cx="9" cy="9" r="1.8" fill="currentColor"/></symbol>
<symbol id="symbol-unjudged" viewBox="0 0 18 18"><path d="M4 9h10" stroke="currentColor" stroke-width="2" stroke-linecap="round"/></symbol>
</defs></svg>)svg";

}  // namespace backfire::page

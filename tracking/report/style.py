"""How the page looks: system fonts, tabular figures, one measure, no colour without a meaning."""

STYLE = """
:root { --paper: #fdfdfc; --ink: #1d2125; --soft: #5c646c; --rule: #d9dcdf; --shade: #f3f4f4;
  --link: #0b5c94; }
@media screen and (prefers-color-scheme: dark) {
  :root { --paper: #15181b; --ink: #e3e5e7; --soft: #9aa3ab; --rule: #33393f; --shade: #1d2125;
    --link: #7fbbe8; --c0: #58a9e0; --c1: #f0864a; --c2: #35bf94; --c3: #dd97bd; --c4: #8fd0f5;
    --c5: #f0b93f; --c6: #a5abb0; --c7: #b98a80; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums lining-nums; }
header { border-bottom: 1px solid var(--rule); padding-bottom: .75rem; }
h1 { font-size: 1.55rem; line-height: 1.2; font-weight: 650; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.1rem; font-weight: 650; margin: 2.4rem 0 .6rem; }
.study { margin: 0 0 .15rem; color: var(--soft); font-size: .85rem; }
h1, h2, p, figcaption, small, th, td { overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; margin-top: .7rem; font-size: .87rem; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
.caption, figcaption { color: var(--soft); font-size: .85rem; line-height: 1.4; max-width: 52rem;
  margin: 0 0 .45rem; }
.table, figure { margin: 1.1rem 0 1.6rem; }
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; width: max-content; font-size: .87rem; line-height: 1.35;
  border-bottom: 1px solid var(--rule); }
th, td { padding: .32rem .75rem .32rem 0; text-align: right; vertical-align: top;
  min-width: 3.2rem; overflow-wrap: normal; }
td:not(:last-child), th:not(:last-child) { padding-right: 1.1rem; }
thead th { color: var(--soft); font-weight: 500; border-bottom: 1px solid var(--ink);
  vertical-align: bottom; }
th.label { text-align: left; font-weight: 400; overflow-wrap: break-word; max-width: 26rem; }
thead th.label { font-weight: 500; }
tbody tr + tr > * { border-top: 1px solid color-mix(in srgb, var(--rule) 45%, transparent); }
tbody tr.starts > * { border-top: 1px solid var(--soft); }
tbody tr:hover > * { background: var(--shade); }
td small { display: block; color: var(--soft); font-size: .84em; white-space: nowrap; }
figure { margin-left: 0; margin-right: 0; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  gap: .9rem 1.2rem; align-items: start; }
.panels:has(> :nth-child(4):last-child) {
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
.panels svg { max-width: 100%; height: auto; display: block; }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(4.9rem, 1fr));
  gap: .8rem; }
.images div { font-size: .78rem; line-height: 1.3; color: var(--soft); }
.images img { width: 100%; max-width: 6rem; aspect-ratio: 1; object-fit: contain; display: block;
  image-rendering: pixelated; background: var(--shade); margin-bottom: .2rem; }
.images span { display: block; overflow-wrap: anywhere; }
@media (max-width: 30rem) {
  body { padding: 1.1rem .9rem 3rem; }
  h1 { font-size: 1.3rem; }
  th, td { padding-top: .28rem; padding-bottom: .28rem; }
  th.label { max-width: 11rem; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 9.5pt; background: #fff; color: #000; }
  nav { display: none; }
  .scroll { overflow: visible; }
  table { font-size: 7.5pt; width: auto; }
  td:not(:last-child), th:not(:last-child) { padding-right: .6rem; }
  h2, .caption, figcaption { break-after: avoid; }
  .caption, figcaption, figure, tr { break-inside: avoid; }
  .panels { grid-template-columns: repeat(3, 1fr); }
}
"""

/** The look of the HTML report, light and dark. */
export const htmlStyle = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e1e6; --page: #fcfcfd; --card: #fff;
  --changed: #d08700; --unchanged: #b9bbc6; --good: #218358; --failed: #ce2c31; --skipped: #0588f0; --connect: #cdced6; }
@media (prefers-color-scheme: dark) { :root { --ink: #edeef0; --soft: #b0b4ba; --line: #2e3135; --page: #111113; --card: #18191b;
  --changed: #f1a10d; --unchanged: #5a6169; --good: #3dd68c; --failed: #ff6369; --skipped: #3b9eff; --connect: #363a3f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; letter-spacing: -.01em; } h2 { font-size: 1.05rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .4rem; }
header p { color: var(--soft); margin: .3rem 0 1.25rem; }
.badge { font-size: .8rem; font-weight: 600; vertical-align: middle; padding: .15rem .6rem; border-radius: 1rem; border: 1px solid; color: var(--changed); }
.badge.changed, .badge.unchanged { color: var(--good); } .badge.failed { color: var(--failed); }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; list-style: none; margin: 0; padding: 0; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .6rem 1rem; min-width: 8rem; color: var(--soft); }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.2; color: var(--ink); }
.tiles .changed b { color: var(--changed); } .tiles .failed b { color: var(--failed); } .tiles .none b { color: var(--unchanged); }
.faults ul { list-style: none; padding: 0; margin: 0; }
.faults li { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--failed); border-radius: .4rem; padding: .7rem 1rem; margin-bottom: .6rem; }
.faults h3 { margin: 0 0 .2rem; } .faults p { margin: .15rem 0; white-space: pre-wrap; } .faults .where { color: var(--soft); font-family: ui-monospace, monospace; font-size: .85rem; }
.faults .fix::before { content: "fix: "; color: var(--good); font-weight: 600; }
code, pre { font: 13px/1.45 ui-monospace, monospace; } code { color: var(--soft); font-weight: 400; }
.timeline { width: 100%; border-collapse: collapse; font-size: .85rem; }
.timeline th { width: 1%; white-space: nowrap; text-align: right; font-weight: 500; padding: .15rem .75rem .15rem 0; }
.timeline td { padding: .15rem 0; } .timeline div { position: relative; height: 1.25rem; background: var(--card); border-radius: .25rem; box-shadow: inset 0 0 0 1px var(--line); }
.timeline i { position: absolute; top: 0; bottom: 0; min-width: 2px; border-radius: .2rem; background: var(--unchanged); }
.timeline .changed, .timeline .would-change { background: var(--changed); } .timeline .failed, .timeline .failed-ignored { background: var(--failed); } .timeline .connect { background: var(--connect); }
.timeline .plays div, .timeline .ticks div { background: none; box-shadow: none; }
.plays i { background: none; border-left: 1px solid var(--line); border-radius: 0; font-style: normal; color: var(--soft); padding-left: .3rem; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.ticks span { position: absolute; color: var(--soft); font-size: .75rem; transform: translateX(-50%); white-space: nowrap; }
.ticks span:first-child { transform: none; } .ticks span:last-child { transform: translateX(-100%); }
details { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin-bottom: .4rem; padding: .45rem .9rem; }
summary { cursor: pointer; } summary b.changed, summary b.would-change { color: var(--changed); } summary b.failed { color: var(--failed); }
.hosts { color: var(--soft); margin-left: .5rem; } .took { color: var(--soft); float: right; }
pre { overflow-x: auto; background: var(--page); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; }
ins { color: var(--good); text-decoration: none; } del { color: var(--failed); text-decoration: none; }
.recap { border-collapse: collapse; } .recap th, .recap td { padding: .25rem .9rem; text-align: right; font-variant-numeric: tabular-nums; border-bottom: 1px solid var(--line); font-weight: 500; }
.recap th:first-child { text-align: left; } .recap .none { color: var(--unchanged); } .recap .changed { color: var(--changed); } .recap .failed, .recap .ignored { color: var(--failed); }
@media print { details { break-inside: avoid; } }
`;

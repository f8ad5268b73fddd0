// The order of search results: Sphinx's scores; equal ones in the order of the course, glossary first.
function placeInCourse(docname) {
  const chapter = docname.match(/notebooks\/(\d+)_/);
  if (docname.endsWith("/glossary")) return 0;
  return chapter ? Number(chapter[1]) : 50;
}

var Scorer = {
  score: ([docname, title, anchor, descr, score]) => score - placeInCourse(docname) / 100,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

// What there is to say of a vessel map, where the command `retina-course segment` warns as well:
// inference/quality.py, scale.py, doubt.py. The fewest and most vessels are said with the count.
function retinaWarnings({ enlarged, reduced, doubt }) {
  const digits = (value, count = 0) =>
    value.toLocaleString("en", { maximumFractionDigits: count, minimumFractionDigits: count });

  function* ofScale({ own, low, high, coarse, diameter }, box) {
    const change = diameter / box.diameter;
    if (coarse) {
      yield `The photograph has ${digits(own, 1)} pixels per degree, fewer than those that the network ` +
        `learned from (${digits(low, 1)} to ${digits(high, 1)}), so fine vessels are lost. Is the field angle right?`;
    } else if (change > enlarged) {
      yield `For the network the photograph was enlarged ${digits(change, 1)} times: fine vessels stay invisible.`;
    } else if (1 / change > reduced) {
      yield `For the network the photograph was reduced ${digits(1 / change)} times: fine vessels are lost.`;
    }
  }

  // `expected` is the F1 that the map has if its probabilities are right, `usual` the range on the
  // network's card.
  function* ofDoubt(expected, usual) {
    if (!usual || expected >= usual[0] - doubt) return;
    yield `The network is unsure of this map: by its own probabilities its F1 would be ${digits(expected, 2)}; ` +
      `${digits(usual[0], 2)} to ${digits(usual[1], 2)} is usual. Is the field angle right? Look at the map before you use it.`;
  }

  function* ofPicture(unusual) {
    if (!unusual.length) return;
    yield "This may not be a usual fundus photograph. If it is not, do not trust the map.";
    yield* unusual;
  }

  return ({ unusual, scale, box, expected, usual }) =>
    [...ofPicture(unusual), ...ofScale(scale, box), ...ofDoubt(expected, usual)];
}

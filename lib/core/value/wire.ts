/** The field that marks a tagged form: `{ "$nsc": "Date", "v": 0 }`. Objects that have such a field themselves are escaped. */
export const TAG = '$nsc';

/** A tagged form: the tag, the content, and the name of the class where one tag serves several. */
export function tagged(tag: string, v?: unknown, c?: string): object {
  return { [TAG]: tag, v, c };
}

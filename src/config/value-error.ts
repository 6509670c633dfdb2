/** A setting's text that cannot be used. The message goes on after the name of the setting: `want …`, or what is wrong. */
export class ValueError extends Error {
  override name = 'ValueError';
}

import { BadRequestException } from '@nestjs/common';

/** A field of a request body that must be text. */
export function textField(body: unknown, name: string): string {
  const value = (body as Record<string, unknown> | null | undefined)?.[name];
  if (typeof value === 'string' && value !== '') return value;
  throw new BadRequestException(`"${name}" must be a text of at least one character.`);
}

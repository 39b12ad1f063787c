import { Field, ID, ObjectType } from '@nestjs/graphql';

@ObjectType()
export class Book {
  @Field(() => ID)
  id!: string;

  @Field()
  title!: string;

  /** Not a field of the schema: `author` is resolved from it. */
  authorId!: string;
}

/** What the sample prints when it has started. */
export function whatToTry(url: string, warehousePort: number): string {
  return `
The sample runs: GraphQL at ${url}/graphql, the warehouse over TCP at port ${warehousePort}.

A command that asks as somebody, and says how long it took:

  ask() { curl -s ${url}/graphql -H "Authorization: Bearer $1" \\
    --json "{\\"query\\":\\"$2\\"}" -w '  %{time_total} s\\n'; }

The catalogue is everybody's. Ask twice: slow, then at once. Bob finds what Ann's question left.

  ask ann '{ books { title author inStock } databaseReads }'
  ask ann '{ books { title author inStock } databaseReads }'
  ask bob '{ books { title author inStock } databaseReads }'

A shelf is its user's.

  ask ann 'mutation { putOnShelf(bookId: 1) }'
  ask ann '{ shelf databaseReads }'
  ask bob '{ shelf databaseReads }'

An order changes the stock. The warehouse sends an event, which evicts that one number.

  ask ann 'mutation { order(bookId: 2) }'
  ask bob '{ books { title inStock } databaseReads }'

More in sample/02-graphql-and-microservice/README.md. Ctrl+C stops it.
`;
}

/** Injects the client of the warehouse. */
export const WAREHOUSE = Symbol('warehouse');

/** What the warehouse tells when the stock of a book has changed. */
export interface StockChanged {
  readonly bookId: string;
}

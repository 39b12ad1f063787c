import { Injectable } from '@nestjs/common';
import { Cacheable } from 'nestjs-scoped-cache';
import { ProductsService } from '../products/products.service.js';

/** Knows no organization: `scope: 'org'` finds its id in the request, or in what `runInScope` was given. */
@Injectable()
export class FiguresService {
  runs = 0;

  constructor(private readonly products: ProductsService) {}

  @Cacheable({ scope: 'org', key: 'figures', ttl: '1d' })
  async figures(org: string): Promise<Record<string, number>> {
    this.runs++;
    const [iron, air] = await Promise.all([
      this.products.inCategory(org, 'iron'),
      this.products.inCategory(org, 'air'),
    ]);
    return { iron: iron.length, air: air.length };
  }
}
